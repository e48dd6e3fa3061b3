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

	mu          sync.Mutex
	over        bool
	first, last *watched // the calls that are not settled, oldest first
}

// watched is a call in a list of its watch. at is set before anybody else knows the call, and until it is settled; the rest belongs to
// that watch.
type watched struct {
	call       interface{ giveUp() } // nil if it is not in the list
	at         *watch
	next, prev *watched
}

// latest is the watch that was made last, unless it is over: the one that further calls may join.
var latest atomic.Pointer[watch]

// watchFor has w's call given up when ctx is done.
func (w *watched) watchFor(ctx context.Context, call interface{ giveUp() }) {
	done := ctx.Done()
	if at := latest.Load(); at != nil && at.done == done && at.add(w, call) {
		return
	}
	at := &watch{done: done}
	at.add(w, call)
	at.stop = context.AfterFunc(ctx, at.end)
	latest.Store(at)
	at.mu.Lock()
	over := at.over
	at.mu.Unlock()
	if over { // before it was the latest
		at.forget()
	}
}

// add reports false if the watch is over.
func (at *watch) add(w *watched, call interface{ giveUp() }) bool {
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.over {
		return false
	}
	w.at, w.call, w.prev = at, call, at.last
	if w.prev == nil {
		at.first = w
	} else {
		w.prev.next = w
	}
	at.last = w
	return true
}

// end gives up every call, the oldest first: those that run are to be told before many others are cancelled.
func (at *watch) end() {
	at.mu.Lock()
	defer at.mu.Unlock()
	at.over = true
	at.forget()
	for w := at.first; w != nil; w = at.first {
		call := w.call
		at.drop(w)
		at.mu.Unlock()
		call.giveUp()
		at.mu.Lock()
	}
}

// settled takes w's call off the list. A future that is kept does not keep the ctx.
func (w *watched) settled() {
	at := w.at
	w.at = nil
	at.mu.Lock()
	if w.call != nil {
		at.drop(w)
	}
	last := at.first == nil && !at.over
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
		at.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		at.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.call, w.next, w.prev = nil, nil, nil
}

// forget is called once the watch is over, and not before: watchFor looks at that after it has made it the latest.
func (at *watch) forget() { latest.CompareAndSwap(at, nil) }
