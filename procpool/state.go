package procpool

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// state is the whole of what a pool knows and decides. It does no I/O, starts no goroutine and reads no clock: it is told
// what happened, and when, and leaves in todo what to do about it. Only [ProcessPoolExecutor.update] touches it.
type state struct {
	policy policy

	queue   queue          // waiting for a worker
	workers []*workerState // those that exist, in the order of their start
	spare   []*workerState // ready ones without a call; the last one used is the next one used
	lastID  workerID

	closing bool
	broken  func(*task) error // makes each call's own error; nil while the pool works
	stopped error             // why workers were terminated; nil unless they were

	everReady bool      // a worker has been ready at some time: the command as such is good
	futile    int       // workers that died since a call was last finished
	notBefore time.Time // no worker is started before this

	alarm time.Time // when tick is due; zero: not at all
	left  int       // tasks that gave back their room since the pool last looked
	todo  []action  // drained after every event
	stats Stats
}

// policy is the part of Config that decides.
type policy struct {
	maxWorkers  int
	maxTasks    int // per worker; 0: no limit
	idleTimeout time.Duration
	killGrace   time.Duration
	onCrash     CrashPolicy
	maxFutile   int
	window      time.Duration // how much work may be sent ahead to a worker

	// startPatience is how long a worker may leave a call unstarted that it could start, before it is taken for frozen.
	startPatience time.Duration
}

type workerID int

// phase is where a worker stands. One that is gone leaves the state.
//
//	starting ──▶ ready ──▶ retiring ──▶ leaving ──▶ condemned
//	    │          ├───────────────────────▲            ▲
//	    └──────────┴────────────────────────────────────┘
type phase uint8

const (
	starting  phase = iota // not ready for calls yet
	ready                  // takes calls
	retiring               // has had its last call, and leaves once that is answered
	leaving                // was asked to go
	condemned              // was sent a signal to end it
)

type workerState struct {
	id     workerID
	phase  phase
	claims *ipc.Claims       // nil: it takes one call at a time
	refuse func(*task) error // why it cannot run a call, or nil
	calls  []flight          // sent and not answered, oldest first
	sent   int               // calls ever sent
	lastID uint64
	load   time.Duration // what calls will take, as far as can be told

	ranSince time.Time // since when the oldest of calls may be running; its timeout counts from there
	since    time.Time // when the oldest of calls became that; without calls, when it became idle
	overdue  *task     // was interrupted and should have ended by killAt
	killAt   time.Time // when patience ends with the overdue call, the answer that is owed, or the leaving; zero: not at all
	why      error     // condemned: the interruption that was ignored, or nil
}

// flight is one call at a worker.
type flight struct {
	id   uint64
	task *task // nil if it was recalled; the worker still owes the answer that it did not run it
	cost time.Duration
}

type actionKind uint8

const (
	actLaunch    actionKind = iota // start a process for worker
	actSend                        // send task to worker
	actInterrupt                   // tell worker to end the ctx of the call id
	actDismiss                     // let worker go
	actSignal                      // send signal to worker's process group
	actReject                      // settle task with err
	actCancel                      // cancel task
	actOver                        // nothing is left, and nothing will come
)

type action struct {
	kind    actionKind
	worker  workerID
	task    *task
	id      uint64
	attempt int
	err     error
	reason  string
	signal  syscall.Signal
}

func newState(p policy) *state {
	return &state{policy: p}
}

func (s *state) do(a action) { s.todo = append(s.todo, a) }

// wake asks for a tick at the given time at the latest.
func (s *state) wake(at time.Time) {
	if s.alarm.IsZero() || at.Before(s.alarm) {
		s.alarm = at
	}
}

// refusal is why calls are not accepted; nil while they are. Being broken outdoes being shut down (row E6).
func (s *state) refusal(t *task) error {
	switch {
	case s.broken != nil:
		return s.broken(t)
	case s.closing:
		return futures.ErrShutdown
	default:
		return nil
	}
}

// submitted takes in calls that no refusal stands against.
func (s *state) submitted(tasks []*task, now time.Time) {
	for _, t := range tasks {
		s.stats.Submitted++
		s.queue.pushBack(t)
	}
	s.advance(now)
}

// cancelled drops a task that was cancelled while it waited. One that was lent is dropped when its worker says so.
func (s *state) cancelled(t *task, now time.Time) {
	if t.queued {
		s.unqueue(t)
	} else if w := s.holderOf(t); w != nil {
		s.hurry(w, now)
	}
	s.advance(now)
}

// hurry bounds the wait for a worker's answer to its oldest call when that was withdrawn: it has nothing else to do, so one
// that does not answer is stuck or frozen, and would never go.
func (s *state) hurry(w *workerState, now time.Time) {
	if (w.phase == ready || w.phase == retiring) && w.killAt.IsZero() && len(w.calls) > 0 && w.calls[0].withdrawn() {
		w.killAt = now.Add(s.policy.killGrace)
		s.wake(w.killAt)
	}
}

// withdrawn reports whether the call was recalled or cancelled, so that the worker owes no more than word of it.
func (f flight) withdrawn() bool { return f.task == nil || f.task.call.State() == futures.Cancelled }

func (s *state) unqueue(t *task) {
	s.queue.remove(t)
	if t.hasRoom {
		t.hasRoom = false
		s.left++
	}
}

// interrupt sees to it that a call that has started ends: it is told, and after a grace its worker is killed.
func (s *state) interrupt(t *task, cause error, now time.Time) {
	if t.queued { // between two attempts
		s.unqueue(t)
		s.reject(t, cause)
		s.advance(now)
		return
	}
	w := s.holderOf(t)
	if w == nil || t.interrupted != nil {
		return
	}
	t.interrupted = cause
	s.do(action{kind: actInterrupt, worker: w.id, id: t.id, reason: reason(cause)})
	if w.phase == ready || w.phase == retiring {
		w.overdue, w.killAt = t, now.Add(s.policy.killGrace)
		s.wake(w.killAt)
	}
}

// holderOf finds the worker that has t, if any has.
func (s *state) holderOf(t *task) *workerState {
	for _, w := range s.workers {
		for _, f := range w.calls {
			if f.task == t {
				return w
			}
		}
	}
	return nil
}

func (s *state) worker(id workerID) *workerState {
	i := slices.IndexFunc(s.workers, func(w *workerState) bool { return w.id == id })
	if i < 0 {
		return nil
	}
	return s.workers[i]
}

// becameReady says that a worker has started and run the initializer.
func (s *state) becameReady(id workerID, claims *ipc.Claims, refuse func(*task) error, now time.Time) {
	w := s.worker(id)
	w.claims, w.refuse = claims, refuse
	s.everReady = true
	if w.phase != starting {
		return // condemned meanwhile
	}
	w.phase = ready
	s.idle(w, now)
	s.advance(now)
}

// startFailed says that a worker could not be started, and is gone. A final failure is one that the next worker would
// share: the pool cannot work. Any other counts as a death.
func (s *state) startFailed(id workerID, err error, final bool, now time.Time) {
	w := s.worker(id)
	s.forget(w)
	if w.phase == starting {
		s.died(now)
		if final || !s.everReady || s.policy.onCrash == BreakPool || s.futile >= s.policy.maxFutile {
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

// answered pops the oldest call of a worker, which must be id. It returns its task, or nil if the call was recalled.
// A worker that answers anything else has broken the protocol.
func (s *state) answered(id workerID, callID uint64, withdrawn bool, now time.Time) (*task, error) {
	w := s.worker(id)
	if len(w.calls) == 0 || w.calls[0].id != callID {
		return nil, fmt.Errorf("%w: an answer to call %d, which is not the oldest one sent", ipc.ErrProtocol, callID)
	}
	f := w.calls[0]
	if !w.mayAnswer(f, withdrawn) {
		return nil, fmt.Errorf("%w: call %d was answered against its claim, %v", ipc.ErrProtocol, callID, w.claimState(callID))
	}
	w.calls[0] = flight{}
	w.calls = w.calls[1:]
	w.load -= f.cost
	if !withdrawn {
		s.futile = 0
		s.stats.Answered++
		f.task.fn.measured(now.Sub(w.since))
	}
	w.since, w.ranSince = now, now
	if (w.phase == ready || w.phase == retiring) && (w.overdue == nil || w.overdue == f.task) {
		w.overdue, w.killAt = nil, time.Time{}
	}
	switch {
	case len(w.calls) > 0:
		s.hurry(w, now)
		s.watch(w, now)
	case w.phase == retiring:
		s.dismiss(w, now)
	case w.phase == ready:
		s.idle(w, now)
	}
	s.advance(now)
	if withdrawn {
		return nil, nil
	}
	return f.task, nil
}

// mayAnswer holds a worker's answer against the claims. It may only say that a call was withdrawn if this host did it, and
// that it ran one if this host did not.
func (w *workerState) mayAnswer(f flight, withdrawn bool) bool {
	if w.claims == nil {
		return !withdrawn
	}
	if withdrawn {
		return f.withdrawn()
	}
	return f.task != nil && w.claims.State(f.id) != ipc.ClaimWithdrawn
}

func (w *workerState) claimState(id uint64) string {
	if w.claims == nil {
		return "without claims"
	}
	return w.claims.State(id).String()
}

// measured learns how long calls of a function take.
func (f *function) measured(took time.Duration) {
	if !f.timed {
		f.cost, f.timed = took, true
		return
	}
	f.cost += (took - f.cost) / 8
}

// gone says that a worker's process has ended, and everything it had written was read.
func (s *state) gone(id workerID, end ending, now time.Time) {
	w := s.worker(id)
	s.forget(w)
	guilty := w.guilty()
	crashed := w.phase != leaving && w.phase != condemned || w.phase == leaving && len(w.calls) > 0
	if crashed {
		s.died(now)
		if s.policy.onCrash == BreakPool || s.futile >= s.policy.maxFutile {
			s.breakPool(func(t *task) error { return end.crash(guilty, nil, true) })
		}
	}
	for _, f := range slices.Backward(w.calls) { // so that those that go back keep their order
		t := f.task
		switch {
		case f.withdrawn():
		case s.broken != nil:
			s.reject(t, s.broken(t))
		case t.takeBack() && !(t.again && s.stopped != nil):
			s.requeue(t)
		case s.stopped != nil: // also for one that waited to run again, since it cannot be cancelled
			s.reject(t, end.crash(t, s.stopped, true))
		case t.interrupted != nil && w.overdue == t:
			s.reject(t, end.crash(t, t.interrupted, false))
		case t.retries > 0 && t.interrupted == nil:
			t.retries--
			t.again = true
			t.call.Start() // it has: it cannot be cancelled any more while it waits again
			s.stats.Retried++
			s.requeue(t)
		default:
			s.reject(t, end.crash(guilty, nil, false))
		}
	}
	s.advance(now)
}

// guilty is the call that was running when the worker ended, if one was.
func (w *workerState) guilty() *task {
	for _, f := range w.calls {
		if f.task != nil && (w.claims == nil || w.claims.State(f.id) == ipc.ClaimStarted) {
			return f.task
		}
	}
	return nil
}

func (s *state) requeue(t *task) { s.queue.pushFront(t) }

// breakPool ends the pool's work for good. Waiting calls fail now; those at workers once the worker is gone and the results
// it had written are delivered (row P43).
func (s *state) breakPool(why func(*task) error) {
	if s.broken != nil {
		return
	}
	s.broken = why
	for t := s.queue.head; t != nil; t = s.queue.head {
		s.unqueue(t)
		s.reject(t, why(t))
	}
	for _, w := range s.workers {
		s.condemn(w, syscall.SIGKILL)
	}
}

// shutdown lets accepted calls finish, or with cancel only those that have started.
func (s *state) shutdown(cancel bool, now time.Time) {
	s.closing = true
	if cancel {
		s.cancelWaiting()
	}
	s.advance(now)
}

// terminate ends the workers at once.
func (s *state) terminate(sig syscall.Signal, now time.Time) {
	s.closing = true
	s.stopped = errTerminated
	s.cancelWaiting()
	for t := s.queue.head; t != nil; t = s.queue.head { // those that have started once cannot be cancelled
		s.unqueue(t)
		s.reject(t, fmt.Errorf("%w: %s waited for another attempt: %w", ErrBrokenProcessPool, t.fn.name, errTerminated))
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

// cancelWaiting cancels what has not started, wherever it is.
func (s *state) cancelWaiting() {
	for t := s.queue.head; t != nil; {
		next := t.next
		if !t.again {
			s.unqueue(t)
			s.do(action{kind: actCancel, task: t})
		}
		t = next
	}
	for _, w := range s.workers {
		for _, f := range w.calls {
			if f.task != nil {
				s.do(action{kind: actCancel, task: f.task}) // without effect if it has started
			}
		}
	}
}

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
		if !now.Before(w.since.Add(s.policy.startPatience)) && s.recall(w, 0, now) {
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
		s.wake(w.since.Add(s.policy.startPatience))
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
		if f.task == nil || from > 0 && (!f.recallable() || now.Before(w.since.Add(s.patience(f.task)))) {
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

// idle notes that a worker has nothing to do.
func (s *state) idle(w *workerState, now time.Time) {
	w.since = now
	s.spare = append(s.spare, w)
	if s.policy.idleTimeout > 0 {
		s.wake(now.Add(s.policy.idleTimeout))
	}
}

// advance brings waiting calls and workers together, starts workers where calls wait and none is idle, and lets workers go
// when no more calls can come.
func (s *state) advance(now time.Time) {
	for s.queue.head != nil && len(s.spare) > 0 {
		w := s.spare[len(s.spare)-1]
		s.spare = s.spare[:len(s.spare)-1]
		if !s.give(w, now) {
			s.spare = append(s.spare, w)
		}
	}
	for s.count(starting) < s.queue.len && s.mayLaunch(now) {
		s.launch()
	}
	s.sendAhead(now)
	if s.closing && s.queue.len == 0 {
		s.wind(now)
	}
}

// sendAhead gives calls to workers that are busy, as far as they will get to them soon.
func (s *state) sendAhead(now time.Time) {
	for s.queue.head != nil {
		var best *workerState
		for _, w := range s.workers {
			if s.hasRoom(w, s.queue.head, now) && (best == nil || w.load < best.load) {
				best = w
			}
		}
		if best == nil || !s.give(best, now) {
			return
		}
	}
}

// hasRoom reports whether a busy worker may have t as well. What it has must be known to be over within the window, and
// the host must be able to take t back.
func (s *state) hasRoom(w *workerState, t *task, now time.Time) bool {
	if w.phase != ready || w.claims == nil || len(w.calls) == 0 || len(w.calls) >= w.claims.Slots() {
		return false
	}
	if last := w.calls[len(w.calls)-1].task; t.batch != 0 && last != nil && last.batch == t.batch {
		return true
	}
	return t.fn.timed && w.load+t.fn.cost <= s.policy.window && now.Before(w.since.Add(s.policy.window)) && w.overdue == nil
}

// give sends the oldest waiting call to w. It reports false if w got none: the call had been cancelled, or w cannot run it.
func (s *state) give(w *workerState, now time.Time) bool {
	t := s.queue.head
	s.unqueue(t)
	if err := w.refuse(t); err != nil {
		s.reject(t, err)
		return false
	}
	id := w.lastID + 1
	t.id, t.claims = id, w.claims
	switch {
	case t.again:
		if w.claims != nil {
			w.claims.Queue(id)
		}
	case w.claims == nil:
		if !t.call.Start() {
			return false
		}
	default:
		w.claims.Queue(id)
		if !t.call.Lend(t) {
			return false
		}
	}
	cost := s.policy.window
	if t.fn.timed {
		cost = max(t.fn.cost, minCost)
	}
	w.lastID = id
	w.sent++
	w.load += cost
	t.attempt++
	w.calls = append(w.calls, flight{id, t, cost})
	if len(w.calls) == 1 {
		w.since, w.ranSince = now, now
	}
	s.watch(w, now)
	s.do(action{kind: actSend, worker: w.id, task: t, id: id, attempt: t.attempt})
	if s.policy.maxTasks > 0 && w.sent >= s.policy.maxTasks {
		w.phase = retiring
		s.stats.Recycled++
		if len(s.spare) == 0 && s.mayLaunch(now) && !s.closing {
			s.launch() // so that the successor is warm
		}
	}
	return true
}

// minCost keeps calls of no measurable duration from being sent ahead without bound.
const minCost = time.Microsecond

// count is the number of workers in a phase.
func (s *state) count(p phase) (n int) {
	for _, w := range s.workers {
		if w.phase == p {
			n++
		}
	}
	return n
}

// mayLaunch reports whether there is room for one more worker. Workers on their way out do not count, but they may not be
// more than the pool is large.
func (s *state) mayLaunch(now time.Time) bool {
	active := s.count(starting) + s.count(ready)
	if s.broken != nil || s.stopped != nil || active >= s.policy.maxWorkers || len(s.workers) >= 2*s.policy.maxWorkers {
		return false
	}
	if now.Before(s.notBefore) {
		s.wake(s.notBefore)
		return false
	}
	return true
}

func (s *state) launch() {
	s.lastID++
	s.stats.Started++
	s.workers = append(s.workers, &workerState{id: s.lastID})
	s.do(action{kind: actLaunch, worker: s.lastID})
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
	w.phase, w.overdue = leaving, nil
	w.killAt = now.Add(s.policy.killGrace)
	s.wake(w.killAt)
	s.do(action{kind: actDismiss, worker: w.id})
}

// condemn sends a worker a signal that is to end it.
func (s *state) condemn(w *workerState, sig syscall.Signal) {
	s.spare = slices.DeleteFunc(s.spare, func(v *workerState) bool { return v == w })
	w.phase = condemned
	s.do(action{kind: actSignal, worker: w.id, signal: sig})
}

// forget removes a worker that is gone.
func (s *state) forget(w *workerState) {
	gone := func(v *workerState) bool { return v == w }
	s.workers = slices.DeleteFunc(s.workers, gone)
	s.spare = slices.DeleteFunc(s.spare, gone)
}

func (s *state) reject(t *task, err error) { s.do(action{kind: actReject, task: t, err: err}) }
