package procpool

import (
	"slices"
	"syscall"
	"time"
)

// How the state brings a pool to its end.

// shutdown lets accepted calls finish, or with cancel only those that have started.
func (s *state) shutdown(cancel bool, now time.Time) {
	s.closing = true
	if cancel {
		s.cancelWaiting(now)
	}
	s.advance(now)
}

// terminate ends the workers at once.
func (s *state) terminate(sig syscall.Signal, now time.Time) {
	s.closing = true
	s.stopped = errTerminated
	s.cancelWaiting(now)
	for t := s.queue.head; t != nil; t = s.queue.head { // those that have started once cannot be cancelled
		s.unqueue(t)
		s.rejectEach(t, s.lostAttempt)
	}
	for _, w := range s.workers {
		s.condemn(w, sig)
		if sig != syscall.SIGKILL && w.killAt.IsZero() {
			w.killAt = now.Add(s.policy.killGrace)
			s.wake(w.killAt)
		}
	}
	s.advance(now)
}

// cancelWaiting cancels what has not started, wherever it is, and what comes back unstarted later.
func (s *state) cancelWaiting(now time.Time) {
	s.cancelling = true
	for t := s.queue.head; t != nil; {
		next := t.next
		if !t.again {
			s.unqueue(t)
			s.do(action{kind: actCancel, task: t})
		}
		t = next
	}
	for _, w := range s.workers {
		for i := range w.calls {
			s.callOff(w, &w.calls[i], now)
		}
	}
}

// wind lets go of every worker that has nothing to do, since no more calls can come.
func (s *state) wind(now time.Time) {
	for _, w := range s.workers {
		switch {
		case w.phase == starting:
			s.condemn(w, syscall.SIGKILL)
		case w.phase == ready && len(w.calls) == 0:
			s.dismiss(w, now)
		}
	}
	if len(s.workers) == 0 {
		s.do(action{kind: actOver})
	}
}

// dismiss asks a worker without calls to go.
func (s *state) dismiss(w *workerState, now time.Time) {
	s.spare = slices.DeleteFunc(s.spare, func(v *workerState) bool { return v == w })
	s.enter(w, leaving)
	w.overdue = nil
	w.killAt = now.Add(s.policy.killGrace)
	s.wake(w.killAt)
	s.do(action{kind: actDismiss, worker: w.id})
}
