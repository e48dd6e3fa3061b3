package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is the bar on standard error: items done, rate, time left where the total is known, failures. A nil progress
// shows nothing.
type progress struct {
	what string

	mu       sync.Mutex // the bar's own lock does not cover what is written beside it
	bar      *progressbar.ProgressBar
	failures int
}

// startProgress shows a bar on w. A negative total is unknown.
func startProgress(w io.Writer, what string, total int64) *progress {
	p := &progress{what: what}
	p.bar = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("items"),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(24),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
	)
	return p
}

// The bar's errors are those of writing to standard error, which nobody can be told of.

func (p *progress) done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.bar.Add(1)
}

func (p *progress) failed() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures++
	p.bar.Describe(fmt.Sprintf("%s (%s failed)", p.what, grouped(p.failures)))
	_ = p.bar.Add(1)
}

// beside writes to w without tearing the bar.
func (p *progress) beside(w io.Writer) io.Writer {
	if p == nil {
		return w
	}
	return besideBar{p, w}
}

type besideBar struct {
	p *progress
	w io.Writer
}

func (b besideBar) Write(text []byte) (int, error) {
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	if !b.p.bar.IsFinished() {
		_ = b.p.bar.Clear()
	}
	return b.w.Write(text)
}

// end takes the bar away.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.bar.Clear()
	_ = p.bar.Exit()
}
