package procpool

import (
	"slices"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// What the state decides because time has passed.

// tick does what is due by now.
func (s *state) tick(now time.Time) {
	s.alarm = time.Time{}
	for _, w := range s.workers {
		s.checkPatience(w, now)
		s.checkHead(w, now)
		s.checkIdle(w, now)
	}
	if s.notBefore.After(now) {
		s.wake(s.notBefore)
	}
	s.advance(now)
}

// checkPatience ends a worker that should have gone or ended a call by now.
func (s *state) checkPatience(w *workerState, now time.Time) {
	if w.killAt.IsZero() {
		return
	}
	if now.Before(w.killAt) {
		s.wake(w.killAt)
		return
	}
	w.killAt = time.Time{}
	if w.phase == leaving || w.phase == condemned {
		s.condemn(w, syscall.SIGKILL)
		return
	}
	// Nothing else can start at this worker from here on, so the kill hits the overdue call or nobody.
	s.recall(w, 0, now)
	if w.overdue == nil {
		if !slices.ContainsFunc(w.calls, func(f flight) bool { return !f.withdrawn() }) {
			s.condemn(w, syscall.SIGKILL) // it runs nothing, and yet does not answer
		}
		return
	}
	if w.claims != nil && w.claims.State(w.overdue.id) == ipc.ClaimFinished {
		w.overdue = nil // the answer is on its way
		return
	}
	s.condemn(w, syscall.SIGKILL)
}

// checkHead looks after the oldest call of a worker: it may run for too long, hold up those behind it, or not be started
// at all.
func (s *state) checkHead(w *workerState, now time.Time) {
	if len(w.calls) == 0 || w.phase != ready && w.phase != retiring {
		return
	}
	head := w.calls[0].task
	if w.claims != nil && (head == nil || !head.Started()) {
		w.ranSince = now // its time has not begun
		if !now.Before(w.since.Add(s.startPatience(head))) && s.recall(w, 0, now) {
			if head != nil {
				head.frozen++
			}
			s.condemn(w, syscall.SIGKILL) // it is frozen, and has started nothing
			return
		}
	} else if head.timeout > 0 && head.interrupted == nil && !now.Before(w.ranSince.Add(head.timeout)) {
		s.interrupt(head, futures.ErrTimeout, now)
	}
	if s.canRelieve(w, now) {
		s.recall(w, 1, now)
	}
	s.watch(w, now)
}

// canRelieve reports whether calls that wait at w would be better off elsewhere: with a worker that gets on, or a new one.
func (s *state) canRelieve(w *workerState, now time.Time) bool {
	for _, v := range s.workers {
		getsOn := v.phase == ready && v.overdue == nil && (len(v.calls) == 0 || now.Before(v.since.Add(s.policy.window)))
		if v != w && (v.phase == starting || getsOn) {
			return true
		}
	}
	return s.mayLaunch(now)
}

// watch asks for the ticks that checkHead needs.
func (s *state) watch(w *workerState, now time.Time) {
	if t := w.calls[0].task; t != nil && t.timeout > 0 && t.interrupted == nil {
		s.wake(w.ranSince.Add(t.timeout))
	}
	if w.claims == nil {
		return
	}
	if head := w.calls[0].task; head == nil || !head.Started() {
		s.wake(w.since.Add(s.startPatience(head)))
	}
	for _, f := range w.calls[1:] {
		if f.recallable() {
			due := w.since.Add(s.patience(f.task))
			if !now.Before(due) { // it was due, and nobody could relieve w
				due = now.Add(10 * s.policy.window)
			}
			s.wake(due)
			return
		}
	}
}

// startPatience is how long a worker may leave its oldest call unstarted before it is taken for frozen: longer for an
// argument that takes its time to travel, and twice as long each time this happens to the call.
func (s *state) startPatience(t *task) time.Duration {
	if t == nil {
		return s.policy.startPatience
	}
	const slowest = 4 << 20 // bytes a second
	return s.policy.startPatience<<min(t.frozen, 10) + time.Duration(len(t.arg))*time.Second/slowest
}

// patience is how long a call may wait behind another one. It doubles each time the call is taken back, so that a slow
// machine does not keep moving it about.
func (s *state) patience(t *task) time.Duration {
	return s.policy.window << min(t.recalls, 10)
}

// recallable calls are taken back from a slow worker. Those of an explicit chunk stay together.
func (f flight) recallable() bool { return f.task != nil && f.task.batch == 0 }

// recall takes back calls of w that have not started, and reports whether none of its calls has. From position 1 on it
// is for calls that wait behind a slow one; from position 0 on, for all. The first to be waiting again is the oldest.
func (s *state) recall(w *workerState, from int, now time.Time) bool {
	unstarted := true
	for i := len(w.calls) - 1; i >= from; i-- {
		f := &w.calls[i]
		if f.withdrawn() || from > 0 && (!f.recallable() || now.Before(w.since.Add(s.patience(f.task)))) {
			continue
		}
		if !f.task.takeBack() {
			unstarted = false
			continue
		}
		f.task.recalls++
		s.requeue(f.task)
		w.load -= f.cost
		f.task, f.cost = nil, 0
	}
	return unstarted
}

func (s *state) checkIdle(w *workerState, now time.Time) {
	if w.phase != ready || len(w.calls) > 0 || s.policy.idleTimeout == 0 {
		return
	}
	if due := w.since.Add(s.policy.idleTimeout); now.Before(due) {
		s.wake(due)
		return
	}
	s.dismiss(w, now)
}
