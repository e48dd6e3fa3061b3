package futures

import (
	"context"
	"sync"
	"sync/atomic"
)

// A watch waits for the end of a ctx, on behalf of the calls that it bounds: of those that are submitted one after the other with the same
// ctx there is one. It ends with the ctx, or with the last of its calls.
type watch struct {
	done <-chan struct{} // the ctx's
	stop func() bool

	mu    sync.Mutex
	over  bool
	calls *watched // those that are not settled
}

// watched is a call in a list of its watch. at is set once; the rest belongs to that watch.
type watched struct {
	call       interface{ giveUp(cause error) } // nil if it is not in the list
	at         *watch
	next, prev *watched
}

// latest is the watch that was made last, unless it is over: the one that further calls may join.
var latest atomic.Pointer[watch]

// watchFor has w's call given up when ctx is done.
func (w *watched) watchFor(ctx context.Context, call interface{ giveUp(cause error) }) {
	done := ctx.Done()
	if at := latest.Load(); at != nil && at.done == done && at.add(w, call) {
		return
	}
	at := &watch{done: done}
	at.add(w, call)
	at.stop = context.AfterFunc(ctx, func() { at.end(context.Cause(ctx)) })
	latest.Store(at)
	at.mu.Lock()
	over := at.over
	at.mu.Unlock()
	if over { // before it was the latest
		at.forget()
	}
}

// add reports false if the watch is over.
func (at *watch) add(w *watched, call interface{ giveUp(cause error) }) bool {
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.over {
		return false
	}
	w.at, w.call, w.next = at, call, at.calls
	if w.next != nil {
		w.next.prev = w
	}
	at.calls = w
	return true
}

// end gives up every call.
func (at *watch) end(cause error) {
	at.forget()
	for {
		at.mu.Lock()
		at.over = true
		w := at.calls
		if w == nil {
			at.mu.Unlock()
			return
		}
		call := w.call
		at.drop(w)
		at.mu.Unlock()
		call.giveUp(cause)
	}
}

// settled takes w's call off the list.
func (w *watched) settled() {
	at := w.at
	at.mu.Lock()
	if w.call != nil {
		at.drop(w)
	}
	last := at.calls == nil && !at.over
	at.over = at.over || last
	at.mu.Unlock()
	if last {
		at.forget()
		at.stop()
	}
}

// drop is called with mu held.
func (at *watch) drop(w *watched) {
	if w.prev == nil {
		at.calls = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.call, w.next, w.prev = nil, nil, nil
}

func (at *watch) forget() { latest.CompareAndSwap(at, nil) }
