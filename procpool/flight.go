package procpool

import (
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// flight is a task at a worker. Its calls have ids one after the other.
type flight struct {
	id   uint64        // of the first
	task *task         // nil if it was taken back as a whole; the worker still owes the answers that it did not run it
	n    int32         // calls that were sent
	done int32         // calls that were answered
	cut  int32         // calls from here on were taken back; n if none were
	seen uint64        // the last call that was known to have started, when that was looked at last
	cost time.Duration // of each
}

func (f *flight) last() uint64 { return f.id + uint64(f.n) - 1 }

// due is the call that is to be answered next.
func (f *flight) due() uint64 { return f.id + uint64(f.done) }

// withdrawn reports whether the call that is due was recalled or cancelled, so that the worker owes no more than word of it.
func (f *flight) withdrawn() bool {
	return f.done >= f.cut || f.task.span == nil && f.task.call.State() == futures.Cancelled
}

// running is the call of f that runs, or else the one that is due.
func (w *workerState) running(f *flight) uint64 {
	if id, ok := w.begun(f); ok {
		return id
	}
	return f.due()
}

// begun is the call of f that the worker has started last, if it was not answered.
func (w *workerState) begun(f *flight) (uint64, bool) {
	switch {
	case f.cut == 0:
		return 0, false
	case w.claims == nil:
		return f.due(), true
	case f.n == 1:
		state := w.claims.State(f.id)
		return f.id, state == ipc.ClaimStarted || state == ipc.ClaimFinished
	default:
		id, ok := w.claims.Running(f.id, f.last())
		return id, ok && id >= f.due()
	}
}

// holderOf finds the worker that has t, if any has.
func (s *state) holderOf(t *task) (*workerState, *flight) {
	for _, w := range s.workers {
		for i := range w.calls {
			if f := &w.calls[i]; f.task == t {
				return w, f
			}
		}
	}
	return nil, nil
}

// takeBack makes those calls of f the pool's again that the worker has not started, and returns them; nil if there are none. The worker
// still owes word of them.
func (s *state) takeBack(w *workerState, f *flight) (rest *task) {
	if w.claims == nil || f.done >= f.cut {
		return nil
	}
	t := f.task
	keep := f.cut
	switch {
	case f.n > 1:
		keep = max(f.done, int32(min(w.claims.WithdrawRest(f.id, f.last())-f.id, uint64(f.cut)))) // whatever the worker has made of the table
	case t.span == nil && !t.again && t.call.Recall(), (t.span != nil || t.again) && w.claims.Withdraw(f.id):
		keep = 0
	}
	if keep == f.cut {
		return nil
	}
	w.load -= time.Duration(f.cut-keep) * f.cost
	if rest = t; keep > 0 {
		rest = t.split(int(keep))
	} else {
		f.task = nil
	}
	f.cut = keep
	rest.attempt-- // it was none
	return rest
}

// push appends a call, in the room that answered ones have left if that is a good part.
func (w *workerState) push(f flight) {
	if len(w.calls) == cap(w.calls) {
		if cap(w.store) < 2*len(w.calls)+8 {
			w.store = make([]flight, 4*len(w.calls)+8)
		}
		n := copy(w.store, w.calls)
		clear(w.store[n:])
		w.calls = w.store[:n]
	}
	w.calls = append(w.calls, f)
}
