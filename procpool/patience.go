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
		s.checkWeight(w, now)
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
	s.recall(w, true, now)
	if w.overdue == nil {
		if !w.runs() {
			w.stuck = true
			s.condemn(w, syscall.SIGKILL) // it runs nothing, and yet does not answer
		}
		return
	}
	if w.beyond(w.overdue.overdueID) && !w.lastChance {
		w.lastChance = true // the answer is on its way, or the worker says so
		w.killAt = now.Add(s.policy.killGrace)
		s.wake(w.killAt)
		return
	}
	if !w.dumps {
		s.condemn(w, syscall.SIGKILL)
		return
	}
	s.condemn(w, syscall.SIGQUIT)
	w.killAt = now.Add(dumpTime)
	s.wake(w.killAt)
}

// dumpTime bounds how long a worker that did not end a call may take to say what it is doing instead.
const dumpTime = 2 * time.Second

// checkHead looks after the oldest call of a worker: it may run for too long, hold up those behind it, or not be started
// at all.
func (s *state) checkHead(w *workerState, now time.Time) {
	if len(w.calls) == 0 || w.phase != ready && w.phase != retiring {
		return
	}
	if s.expose(w, now) {
		return
	}
	head := w.calls[0].task
	if begun := w.headSince(now); w.limited() && !now.Before(begun.Add(head.timeout())) {
		s.interruptAt(w, &w.calls[0], w.calls[0].due(), futures.ErrTimeout, now)
		s.advance(now)
	}
	if w.unstarted() && !now.Before(w.since.Add(s.startPatience(head))) || w.ahead() && w.silent() && !now.Before(w.since.Add(s.answerPatience(head))) {
		often(&head.frozen)
		s.recall(w, true, now) // a worker that has started another call out of turn, or keeps an answer to itself, is no better
		w.stuck = true
		s.condemn(w, syscall.SIGKILL)
		return
	}
	s.relieve(w, now)
	s.watch(w, now)
}

// relieve takes back what waits behind a slow call, if somebody else has time for it.
func (s *state) relieve(w *workerState, now time.Time) {
	if (!w.ahead() || !now.Before(w.since.Add(catchUp*s.policy.window))) && s.canRelieve(w, now) {
		recalled := s.recall(w, false, now)
		if head := w.calls[0].task; recalled && head != nil && !w.unstarted() && !w.ahead() {
			head.fn.measured(now.Sub(w.since), 1) // so long at least it takes
		}
	}
}

// relieveLate relieves those workers for which there was nobody before.
func (s *state) relieveLate(now time.Time) {
	s.someLate = false
	for _, w := range s.workers {
		if w.late && len(w.calls) > 0 && (w.phase == ready || w.phase == retiring) && !s.expose(w, now) {
			s.relieve(w, now)
			s.watch(w, now)
		}
	}
}

// catchUp is how many windows this host may take to look at what a worker has answered, before others get what waits behind that.
const catchUp = 10

// limited reports whether the oldest call of a worker may take too long.
func (w *workerState) limited() bool {
	f := &w.calls[0]
	return f.done < f.cut && f.task.interrupted == nil && f.task.timeout() > 0
}

// unstarted reports whether the worker could start its oldest call, and has not.
func (w *workerState) unstarted() bool {
	if w.claims == nil || w.calls[0].withdrawn() {
		return false
	}
	f := &w.calls[0]
	if f.n == 1 {
		return w.claims.State(f.id) == ipc.ClaimQueued
	}
	_, begun := w.begun(f)
	return !begun
}

// expose ends a worker that is out of turn, and reports whether it is.
func (s *state) expose(w *workerState, now time.Time) bool {
	if !w.outOfTurn() {
		return false
	}
	w.liar = true
	s.recall(w, true, now)
	s.condemn(w, syscall.SIGKILL)
	return true
}

// outOfTurn reports whether the worker claims to have started a call before the one in front of it was over. It has done so to keep calls from others, or runs several at once, which
// leaves nobody to bound their time.
func (w *workerState) outOfTurn() bool {
	if w.claims == nil {
		return false
	}
	var before *flight // what was in front, and not withdrawn
	for i := range w.calls {
		f := &w.calls[i]
		if f.withdrawn() {
			continue
		}
		if before != nil {
			if _, begun := w.begun(f); !begun {
				return false
			} else if !w.over(before) { // looked at in this order, for the worker goes on meanwhile
				return true
			}
		}
		before = f
	}
	return false
}

// over reports whether the worker has no more to do for f, as far as the claims tell.
func (w *workerState) over(f *flight) bool {
	if f.n > 1 {
		running, begun := w.begun(f)
		return f.withdrawn() || begun && running+1 >= f.id+uint64(f.cut)
	}
	state := w.claims.State(f.id)
	return state == ipc.ClaimFinished || state == ipc.ClaimWithdrawn || f.withdrawn()
}

// ahead reports whether the worker has finished its oldest call, so that it is this host that has to catch up.
func (w *workerState) ahead() bool { return w.beyond(w.calls[0].due()) }

// beyond reports whether the worker has finished a call that was not answered.
func (w *workerState) beyond(id uint64) bool {
	if w.claims == nil {
		return false
	}
	for i := range w.calls {
		switch f := &w.calls[i]; {
		case id < f.id || id > f.last():
		case f.n == 1:
			return w.claims.State(id) == ipc.ClaimFinished
		default:
			running, ok := w.begun(f)
			return ok && running > id
		}
	}
	return false
}

// runs reports whether a worker has a call that it may run.
func (w *workerState) runs() bool {
	for i := range w.calls {
		if !w.calls[i].withdrawn() {
			return true
		}
	}
	return false
}

// headSince is since when the oldest call of a worker may be running: not before it was the oldest, and not before its
// argument was on its way as a whole. The time of a call that is not started has not begun.
func (w *workerState) headSince(now time.Time) time.Time {
	head := w.calls[0].task
	if head == nil || w.unstarted() {
		return now
	}
	written := head.written.Load()
	if written == 0 {
		return now
	}
	if at := epoch.Add(time.Duration(written)); at.After(w.since) {
		return at
	}
	return w.since
}

// canRelieve reports whether calls that wait at w would be better off elsewhere: with a worker that gets on, or a new one.
func (s *state) canRelieve(w *workerState, now time.Time) bool {
	for _, v := range s.workers {
		if v != w && (v.phase == starting || v.phase == ready && (len(v.calls) == 0 || s.getsOn(v, now))) {
			return true
		}
	}
	return s.mayLaunch(now)
}

// getsOn reports whether a busy worker has answered a call, or got its first one, not long ago.
func (s *state) getsOn(w *workerState, now time.Time) bool {
	return w.overdue == nil && now.Before(w.since.Add(s.policy.window))
}

// watch asks for the ticks that checkHead needs. None is for now: that would be a tick without end.
func (s *state) watch(w *workerState, now time.Time) {
	head := w.calls[0].task
	if w.limited() {
		s.wake(w.headSince(now).Add(head.timeout()))
	}
	if w.claims == nil {
		return
	}
	switch {
	case w.unstarted():
		s.wake(w.since.Add(s.startPatience(head)))
	case w.ahead():
		due := w.since.Add(s.answerPatience(head))
		if !now.Before(due) { // it was due, and this host has yet to look
			due = now.Add(s.policy.startPatience)
		}
		s.wake(due)
	}
	w.late = false
	for i := range w.calls {
		if f := &w.calls[i]; w.waits(f) && w.recallable(f) && (i > 0 || f.done+1 < f.cut) {
			due := w.since.Add(s.patience(f.task))
			if w.ahead() {
				due = w.since.Add(max(s.patience(f.task), catchUp*s.policy.window))
			}
			if now.Before(due) {
				s.wake(due)
			} else { // until something happens that makes room elsewhere
				w.late, s.someLate = true, true
			}
			return
		}
	}
}

// startPatience is how long a worker may leave its oldest call unstarted before it is taken for frozen: longer for an
// argument that takes its time to travel, and longer each time this happens to the call.
func (s *state) startPatience(t *task) time.Duration {
	const slowest = 4 << 20 // bytes a second
	return s.policy.startPatience<<min(t.frozen, 2) + time.Duration(t.bytes())*(time.Second/slowest)
}

// answerPatience is how long a worker may keep the answer to its oldest call to itself before it is taken for frozen.
func (s *state) answerPatience(t *task) time.Duration { return 5 * s.startPatience(t) }

// patience is how long a call may wait behind another one. Once it has been taken back some times it doubles each time, so that a
// slow machine does not keep moving it about.
func (s *state) patience(t *task) time.Duration {
	const freely = 4 // long calls that a short one may meet, one after the other, and lose no more than a window to each
	return s.policy.window << min(max(t.recalls, freely)-freely, 10)
}

// waits reports whether calls of f have not been started.
func (w *workerState) waits(f *flight) bool {
	running, begun := w.begun(f)
	return f.done < f.cut && (!begun || running+1 < f.id+uint64(f.cut))
}

// recallable calls are taken back from a slow worker. Those of an explicit chunk stay together: none is once the worker has begun with it.
func (w *workerState) recallable(f *flight) bool {
	if f.task == nil || !f.task.whole() {
		return f.task != nil
	}
	for i := range w.calls {
		if other := &w.calls[i]; f.task.with(other.task) {
			_, begun := w.begun(other)
			return !begun && other.done == 0
		}
	}
	return false
}

// recall takes back calls of w that have not started: all of them, or those that wait behind a slow one. The first to be waiting
// again is the oldest. It reports whether there was any.
func (s *state) recall(w *workerState, all bool, now time.Time) (any bool) {
	for i := range slices.Backward(w.calls) {
		f := &w.calls[i]
		if !all && (!w.recallable(f) || i == 0 && w.unstarted() || now.Before(w.since.Add(s.patience(f.task)))) {
			continue
		}
		_, begun := w.begun(f)
		if rest := s.takeBack(w, f); rest != nil {
			often(&rest.recalls)
			s.requeue(rest)
			any = true
		}
		if begun { // and so have those before it: a worker runs its calls in order
			break
		}
	}
	return any
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
