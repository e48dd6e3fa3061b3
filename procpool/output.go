package procpool

import (
	"bytes"
	"io"
	"sync"
)

// serialWriter lets many goroutines share a Writer.
type serialWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *serialWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// tailSize is how much of a worker's standard error is kept for its last words. The reason of a crash of Go stands first, and
// the stacks after it take tens of kilobytes.
const tailSize = 64 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[max(0, len(p)-tailSize):]...)
	if n := len(t.text); n > 2*tailSize {
		t.text = append(t.text[:0], t.text[n-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text[max(0, len(t.text)-tailSize):])
}

// lines hands over what is written to it line by line. A line without an end is handed over in pieces.
type lines struct {
	each    func(string)
	partial []byte
}

const maxLine = 64 << 10

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			l.partial = append(l.partial, p...)
			if len(l.partial) >= maxLine {
				l.flush()
			}
			break
		}
		l.partial = append(l.partial, p[:i]...)
		l.flush()
		p = p[i+1:]
	}
	return n, nil
}

func (l *lines) flush() {
	l.each(string(l.partial))
	l.partial = l.partial[:0]
}

// close hands over a last line that has no end.
func (l *lines) close() {
	if len(l.partial) > 0 {
		l.flush()
	}
}

// combined is a Writer to each of sinks that is not nil.
type combined []io.Writer

func (c combined) Write(p []byte) (int, error) {
	for i, w := range c {
		if w == nil {
			continue
		}
		if _, err := w.Write(p); err != nil {
			c[i] = nil // left out from then on: the worker must be able to write whatever becomes of its words
		}
	}
	return len(p), nil
}

// drain copies from r into sinks until r ends.
func drain(r io.Reader, sinks ...io.Writer) {
	to := combined(sinks)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			_, _ = to.Write(buf[:n]) // never fails
		}
		if err != nil {
			return
		}
	}
}

// quitLine is how the Go runtime begins to say what it is doing when it gets SIGQUIT.
const quitLine = "SIGQUIT: quit\n"

// untilDump hands on what is written to it, up to what a worker says because this host has asked it to: that goes into the error, and
// would flood everybody's logs.
type untilDump struct {
	asked func() bool
	to    io.Writer
	held  []byte // it may become a quitLine
	over  bool
}

func (u *untilDump) Write(p []byte) (int, error) {
	if u.over {
		return len(p), nil
	}
	text := p
	if len(u.held) > 0 {
		text, u.held = append(u.held, p...), nil
	}
	if u.asked() {
		if i := bytes.Index(text, []byte(quitLine)); i >= 0 {
			text, u.over = text[:i], true
		} else {
			for n := min(len(text), len(quitLine)-1); n > 0; n-- {
				if bytes.HasSuffix(text, []byte(quitLine[:n])) {
					text, u.held = text[:len(text)-n], bytes.Clone(text[len(text)-n:])
					break
				}
			}
		}
	}
	_, err := u.to.Write(text)
	return len(p), err
}

// close hands on what was held back.
func (u *untilDump) close() {
	_, _ = u.to.Write(u.held) // nobody is told
	u.held = nil
}
