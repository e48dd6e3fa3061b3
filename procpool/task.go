package procpool

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// task is one accepted call, or several of a chunk that wait or travel together. Its first block is fixed at submission. The second
// belongs to the pool's state, but for id and claims, which the call's lease reads as well: they change only while the
// call is not lent.
type task struct {
	call  futures.Call // nil if span is not
	fn    *function
	arg   []byte   // encoded; nil if span is not
	short [16]byte // of which arg is a part, if that is short
	span  *span    // nil if it is one call

	next, prev  *task // in the queue
	queued      bool
	hasRoom     bool                 // holds a token of the pool's bounded queue
	again       bool                 // it has started before, and was lost in a crash
	recalls     uint8                // how often it was taken back from a worker that had not started it; 255 is often
	frozen      uint8                // how often that worker was taken for frozen; 255 is often
	attempt     int32                // which attempt is its latest: sent, and not taken back
	retries     int32                // how often it may still run again
	written     atomic.Int64         // when the request had been written as a whole, in nanoseconds since epoch; 0 before. Set by the link
	interrupted error                // why the ctx of a call is done that has started
	overdueID   uint64               // of that call
	id          uint64               // at the worker that has it
	alone       atomic.Pointer[link] // of a worker that was sent it and had nothing else. Set by the pool
	claims      *ipc.Claims          // of that worker; nil if it takes one call at a time
}

// often counts one more, as far as that goes.
func often(n *uint8) { *n = max(*n, *n+1) }

// epoch is where task.written begins to count.
var epoch = time.Now()

// Cancelled implements [futures.Holder].
func (t *task) Cancelled() {
	t.fn.pool.update(func(s *state, now time.Time) { s.cancelled(t, now) })
}

// Interrupt implements [futures.Holder].
func (t *task) Interrupt(cause error) {
	t.fn.pool.update(func(s *state, now time.Time) { s.interrupt(t, cause, now) })
}

// Attend implements [futures.Attendant].
func (t *task) Attend() {
	if l := t.alone.Load(); l != nil {
		l.attend()
	}
}

// Help implements [futures.Attendant].
func (t *task) Help() {
	if l := t.alone.Load(); l != nil {
		l.lead(t)
	}
}

// Started implements [futures.Lease]. A slot that a worker has scribbled over counts as started: what it has, it may have run.
func (t *task) Started() bool { return t.claims.State(t.id) != ipc.ClaimQueued }

// Withdraw implements [futures.Lease].
func (t *task) Withdraw() bool { return t.claims.Withdraw(t.id) }

// updater is the pool as a task sees it: the owner of the state.
type updater interface {
	update(event func(*state, time.Time))
}

func (t *task) hold() bool {
	if t.span != nil {
		return t.span.chunk.Hold(t)
	}
	return t.call.Hold(t)
}

// start marks it as running, for a worker without claims. On false it was cancelled.
func (t *task) start() bool {
	if t.span != nil {
		return t.span.live()
	}
	return t.call.Start()
}

// lend leaves it to the claims whether it has started. On false it was cancelled.
func (t *task) lend() bool {
	if t.span != nil {
		return t.span.live()
	}
	return t.call.Lend(t)
}

func (t *task) timeout() time.Duration {
	if t.span != nil {
		return t.span.chunk.Timeout()
	}
	return t.call.Timeout()
}

func (t *task) context() context.Context {
	if t.span != nil {
		return t.span.chunk.Context()
	}
	return t.call.Context()
}

// reject settles call n of it with err.
func (t *task) reject(n int, err error) {
	if t.span != nil {
		t.span.chunk.Reject(n, err)
		return
	}
	t.call.Reject(err)
}

// cancel settles it as cancelled, unless it has started.
func (t *task) cancel() {
	if t.span != nil {
		t.span.cancel()
		return
	}
	t.call.Cancel()
}

// out is room for the result of call n of it.
func (t *task) out(n int) any {
	if t.span != nil {
		return t.span.chunk.Out(n)
	}
	return t.call.Out()
}

// resolve settles call n of it with what is in out.
func (t *task) resolve(n int) {
	if t.span != nil {
		t.span.chunk.Resolve(n)
		return
	}
	t.call.Resolve()
}

// meta is what the request of an attempt says of the call besides its argument.
func (t *task) meta(attempt int32) ipc.Meta {
	m := ipc.Meta{Timeout: int64(t.timeout())}
	if deadline, ok := t.context().Deadline(); ok {
		if at := deadline.UnixNano(); time.Unix(0, at).Equal(deadline) { // or else it is centuries away
			m.Deadline = at
		}
	}
	if attempt > 1 {
		m.Attempt = int(attempt)
	}
	return m
}

// reason says in the protocol's words why a call is interrupted.
func reason(t *task, cause error) string {
	switch {
	case errors.Is(cause, futures.ErrTimeout):
		return ipc.ReasonTimeout
	case errors.Is(t.context().Err(), context.DeadlineExceeded):
		return ipc.ReasonDeadline
	default:
		return ipc.ReasonCancelled
	}
}
