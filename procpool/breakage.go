package procpool

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// What the state decides when a worker cannot be started, or has ended.

// A startFailure says what follows from a worker that could not be started.
type startFailure uint8

const (
	mayPass startFailure = iota // the next worker may start
	lasting                     // the next worker would fail as well
	fatal                       // the initializer failed: the pool must not be used (row P45)
)

// startFailed says that a worker could not be started, and is gone. That counts as a death. As long as other workers are
// left they go on, and further ones are tried; without any, the pool cannot work (row P10).
func (s *state) startFailed(id workerID, err error, what startFailure, now time.Time) {
	w := s.worker(id)
	s.forget(w)
	if w.phase == starting {
		s.died(now)
		alone := s.phases[ready]+s.phases[retiring] == 0 && (s.phases[starting] == 0 || what == lasting || s.policy.onCrash == BreakPool)
		hopeless := what == lasting || !s.everReady || s.policy.onCrash == BreakPool
		if what == fatal || alone && hopeless || s.futile >= s.policy.maxFutile {
			s.breakPool(func(*task) error { return fmt.Errorf("%w: a worker cannot be started: %w", ErrBrokenProcessPool, err) })
		}
	}
	s.advance(now)
}

// died counts a death, and puts off the next start if there were several in a row.
func (s *state) died(now time.Time) {
	s.stats.Crashed++
	s.futile++
	if s.futile > 1 {
		s.notBefore = now.Add(min(5*time.Millisecond<<min(s.futile, 10), time.Second))
	}
}

// gone says that a worker's process has ended, and everything it had written was read.
func (s *state) gone(id workerID, end ending, now time.Time) {
	w := s.worker(id)
	s.forget(w)
	guilty := w.guilty()
	crashed := w.phase != leaving && w.phase != condemned || w.phase == leaving && len(w.calls) > 0 || w.liar
	if w.liar {
		end.cause = errOutOfTurn
	}
	if crashed || w.stuck {
		s.died(now)
		if crashed && s.policy.onCrash == BreakPool || s.futile >= s.policy.maxFutile {
			if w.stuck {
				end.cause = errStuck
			}
			s.breakPool(func(t *task) error { return end.crash(guilty, nil, true) })
		}
	}
	for i := range slices.Backward(w.calls) { // so that those that go back keep their order
		f := &w.calls[i]
		if f.withdrawn() {
			continue
		}
		if s.broken == nil {
			if rest := s.takeBack(w, f); rest != nil {
				s.requeue(rest)
			}
		}
		for n := f.cut - 1; n >= f.done; n-- {
			id := f.id + uint64(n)
			lost := f.task.only(int(n))
			if f.task.overdueID == id {
				lost.interrupted = f.task.interrupted
			}
			s.lost(lost, end, guilty)
		}
	}
	s.advance(now)
}

// lost decides about one call that was lost with its worker, after it had started as far as is known.
func (s *state) lost(t *task, end ending, guilty *task) {
	switch {
	case t.span == nil && t.call.State() == futures.Cancelled: // meanwhile: the claims said that it had not started
	case s.broken != nil:
		s.reject(t, s.broken(t))
	case s.stopped != nil:
		s.reject(t, end.crash(t, s.stopped, true))
	case t.interrupted != nil:
		s.reject(t, end.crash(t, t.interrupted, false))
	case t.retries > 0 && (t.again || t.start()): // it cannot be cancelled any more while it waits again
		t.retries--
		t.again = true
		s.stats.Retried++
		s.requeue(t)
	default:
		s.reject(t, end.crash(guilty, nil, false))
	}
}

// guilty is the call that was running when the worker ended, or whose result was on its way, if there was one.
func (w *workerState) guilty() *task {
	var finished *task
	for i := range w.calls {
		f := &w.calls[i]
		if f.task == nil {
			continue
		}
		if _, begun := w.begun(f); !begun {
			continue
		}
		if w.claims == nil || f.n > 1 || w.claims.State(f.id) == ipc.ClaimStarted {
			return f.task
		}
		if finished == nil {
			finished = f.task
		}
	}
	return finished
}

// requeue puts a call that is the pool's again first in the queue, unless it is not to run any more.
func (s *state) requeue(t *task) {
	switch {
	case t.interrupted != nil:
		s.reject(t, t.interrupted)
	case !t.again && (s.cancelling || t.span != nil && t.span.chunk.Cancelled() != nil):
		s.do(action{kind: actCancel, task: t})
	case s.stopped != nil: // it cannot be cancelled, since it has started before
		s.rejectEach(t, s.lostAttempt)
	default:
		s.queue.pushFront(t)
	}
}

func (s *state) lostAttempt(t *task) error {
	return fmt.Errorf("%w: %s waited for another attempt: %w", ErrBrokenProcessPool, t.fn.name, s.stopped)
}

// breakPool ends the pool's work for good. Waiting calls fail now; those at workers once the worker is gone and the results
// it had written are delivered (row P43).
func (s *state) breakPool(why func(*task) error) {
	if s.broken != nil {
		return
	}
	s.broken = why
	for t := s.queue.head; t != nil; t = s.queue.head {
		s.unqueue(t)
		s.rejectEach(t, why)
	}
	for _, w := range s.workers {
		s.condemn(w, syscall.SIGKILL)
	}
}
