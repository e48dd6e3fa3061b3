package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// interruption turns the first SIGINT or SIGTERM into an orderly stop and the second into a quick one. The workers are in
// process groups of their own, so the Ctrl-C of a terminal does not reach them.
type interruption struct {
	signals chan os.Signal
	over    chan struct{}
	ended   chan struct{}
	first   atomic.Int32 // the first signal; 0 while there was none
	killed  atomic.Bool
}

// handleSignals acts on signals until release. Before and after, they end the program as usual.
//
// SIGPIPE is taken as well, so that a write to a pipe without a reader fails with an error instead of ending the program;
// ignoring it would be inherited by the workers.
func handleSignals(pool *procpool.ProcessPoolExecutor, stop context.CancelFunc, stderr io.Writer) *interruption {
	i := &interruption{signals: make(chan os.Signal, 2), over: make(chan struct{}), ended: make(chan struct{})}
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() { // ends with release, which waits for it; nobody can be told that standard error is gone
		defer close(i.ended)
		for {
			var s os.Signal
			select {
			case s = <-i.signals:
			case <-i.over:
				return
			}
			number, _ := s.(syscall.Signal)
			if i.first.CompareAndSwap(0, int32(number)) {
				stop()
				called, cancel := context.WithCancel(context.Background())
				cancel() // calls are called off before the wait, which is not wanted here
				_ = pool.Shutdown(called, futures.CancelFutures())
				_, _ = fmt.Fprintf(stderr, "procpool: %v: no more input is taken and running calls finish; once more to kill them\n", s)
				continue
			}
			i.killed.Store(true)
			pool.KillWorkers()
			_, _ = fmt.Fprintf(stderr, "procpool: %v: the workers are killed\n", s)
		}
	}()
	return i
}

// release stops acting on signals.
func (i *interruption) release() {
	signal.Stop(i.signals)
	close(i.over)
	<-i.ended
}

// code is the exit code for what was interrupted, as shells have it; 0 if nothing was.
func (i *interruption) code() int {
	if first := i.first.Load(); first != 0 {
		return 128 + int(first)
	}
	return 0
}
