package procpool

import (
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
	phases  [condemned + 1]int // workers in each phase
	busy    int                // workers that run calls

	closing    bool
	broken     func(*task) error // makes each call's own error; nil while the pool works
	cancelling bool              // calls that have not started are cancelled
	stopped    error             // why workers were terminated; nil unless they were

	someLate  bool      // a worker is late
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
	cores       int // how many workers can really run at once
	maxTasks    int // per worker; 0: no limit
	idleTimeout time.Duration
	killGrace   time.Duration
	onCrash     CrashPolicy
	maxFutile   int
	maxRSS      int64         // bytes of a worker; 0: no limit
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

// abilities are how a worker that is ready works.
type abilities struct {
	claims *ipc.Claims       // nil: it takes one call at a time
	chunks bool              // it takes several calls in one message
	dumps  bool              // it says what it is doing before it ends of SIGQUIT
	refuse func(*task) error // why it cannot run a call, or nil
	silent func() bool       // whether everything it has said was looked at
}

type workerState struct {
	id    workerID
	phase phase // see enter
	abilities
	fit    *function // the last one that was not refused
	calls  []flight  // sent and not answered, oldest first
	store  []flight  // of which calls is a part
	busy   bool      // see recount
	sent   int       // calls sent, less those that were taken back
	lastID uint64
	load   time.Duration // what calls will take, as far as can be told

	grown   bool      // it has run calls since it was weighed
	weighAt time.Time // when that may be done again

	since      time.Time // when the oldest of calls became that; without calls, when it became idle
	disturbed  bool      // calls may hold one that was interrupted
	overdue    *task     // holds a call that was interrupted and should have ended by killAt
	late       bool      // calls wait behind a slow one, and nobody could relieve it
	stuck      bool      // condemned: it did not start, or did not answer, what it should have
	lastChance bool      // patience with the overdue call has ended once, when its answer seemed to be on its way
	killAt     time.Time // when patience ends with the overdue call, the answer that is owed, or the leaving; zero: not at all
}

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

type actionKind uint8

const (
	actLaunch    actionKind = iota // start a process for worker
	actSend                        // send task to worker
	actInterrupt                   // tell worker to end the ctx of the call id
	actDismiss                     // let worker go
	actSignal                      // send signal to worker's process group
	actReject                      // settle task with err
	actCancel                      // cancel task
	actWeigh                       // tell how much memory worker has
	actOver                        // nothing is left, and nothing will come
)

type action struct {
	kind    actionKind
	worker  workerID
	task    *task
	id      uint64
	from, n int32 // of task's calls: the number of the first, and how many
	attempt int32
	alone   bool // to send: the worker has no other call, nothing else waits, and the result is simple
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
		s.queue.pushBack(t)
		s.stats.Submitted += t.size()
	}
	s.advance(now)
}

// cancelled drops a task that was cancelled while it waited. One that was lent is dropped when its worker says so.
func (s *state) cancelled(t *task, now time.Time) {
	switch {
	case t.span != nil:
		s.drop(t, now)
	case t.queued:
		s.unqueue(t)
	default:
		if w, _ := s.holderOf(t); w != nil {
			s.hurry(w, now)
		}
	}
	s.advance(now)
}

// drop cancels all calls of t's chunk that have not started.
func (s *state) drop(t *task, now time.Time) {
	for v := s.queue.head; v != nil; {
		next := v.next
		if v.with(t) && !v.again {
			s.unqueue(v)
			s.do(action{kind: actCancel, task: v})
		}
		v = next
	}
	for _, w := range s.workers {
		for i := range w.calls {
			if f := &w.calls[i]; f.task.with(t) {
				s.callOff(w, f, now)
			}
		}
	}
}

// callOff cancels what a worker has not started.
func (s *state) callOff(w *workerState, f *flight, now time.Time) {
	switch {
	case f.task == nil || f.task.again: // it has started once
		return
	case f.task.span == nil:
		f.task.call.Cancel() // without effect if it has started
	default:
		if rest := s.takeBack(w, f); rest != nil {
			s.do(action{kind: actCancel, task: rest})
		}
	}
	s.hurry(w, now)
}

// hurry bounds the wait for a worker's answer to its oldest call when that was withdrawn: it has nothing else to do, so one
// that does not answer is stuck or frozen, and would never go.
func (s *state) hurry(w *workerState, now time.Time) {
	if (w.phase == ready || w.phase == retiring) && w.killAt.IsZero() && len(w.calls) > 0 && w.calls[0].withdrawn() {
		w.killAt = now.Add(s.policy.killGrace)
		s.wake(w.killAt)
	}
}

// withdrawn reports whether the call that is due was recalled or cancelled, so that the worker owes no more than word of it.
func (f *flight) withdrawn() bool {
	return f.done >= f.cut || f.task.span == nil && f.task.call.State() == futures.Cancelled
}

func (s *state) unqueue(t *task) {
	s.queue.remove(t)
	if t.hasRoom {
		t.hasRoom = false
		s.left++
	}
}

// interrupt sees to it that a call that has started ends: it is told, and after a grace its worker is killed. Of a chunk it is
// each call that has started.
func (s *state) interrupt(t *task, cause error, now time.Time) {
	for v := s.queue.head; v != nil; { // between two attempts
		next := v.next
		if v == t || v.with(t) && v.again {
			s.unqueue(v)
			s.reject(v, cause)
		}
		v = next
	}
	for _, w := range s.workers {
		for i := range w.calls {
			if f := &w.calls[i]; f.task.with(t) {
				s.interruptAt(w, f, w.running(f), cause, now)
			}
		}
	}
	s.advance(now)
}

// interruptAt interrupts a call of f.
func (s *state) interruptAt(w *workerState, f *flight, id uint64, cause error, now time.Time) {
	t := f.task
	if t.interrupted != nil || f.done >= f.cut {
		return
	}
	t.interrupted, t.overdueID = cause, id
	if t.again { // it was to run again; perhaps it has not started
		if rest := s.takeBack(w, f); rest != nil {
			s.reject(rest, cause)
			s.hurry(w, now)
			return
		}
	}
	s.do(action{kind: actInterrupt, worker: w.id, task: t, id: id, reason: reason(t, cause)})
	w.disturbed = true
	s.pursue(w, now)
}

// pursue bounds the time of a worker's oldest call that was interrupted and goes on. One at a time: whatever becomes of it,
// the next one's turn comes when it is answered.
func (s *state) pursue(w *workerState, now time.Time) {
	if !w.disturbed || w.overdue != nil || w.phase != ready && w.phase != retiring {
		return
	}
	for i := range w.calls {
		if f := &w.calls[i]; f.task != nil && f.task.interrupted != nil {
			w.overdue, w.killAt = f.task, now.Add(s.policy.killGrace)
			s.wake(w.killAt)
			return
		}
	}
	w.disturbed = false
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

func (s *state) worker(id workerID) *workerState {
	i := slices.IndexFunc(s.workers, func(w *workerState) bool { return w.id == id })
	if i < 0 {
		return nil
	}
	return s.workers[i]
}

// becameReady says that a worker has started and run the initializer.
func (s *state) becameReady(id workerID, how abilities, now time.Time) {
	w := s.worker(id)
	w.abilities = how
	s.everReady = true
	if w.phase != starting {
		return // condemned meanwhile
	}
	s.enter(w, ready)
	s.idle(w, now)
	s.advance(now)
}

// enter moves a worker to another phase.
func (s *state) enter(w *workerState, p phase) {
	s.phases[w.phase]--
	s.phases[p]++
	w.phase = p
	s.recount(w)
}

// recount sees to it that busy counts a worker that runs calls, and no other. The successor of a retiring one is there before
// that one has finished, and must not make them more than MaxWorkers.
func (s *state) recount(w *workerState) {
	busy := len(w.calls) > 0 && (w.phase == ready || w.phase == retiring)
	switch {
	case busy && !w.busy:
		s.busy++
	case !busy && w.busy:
		s.busy--
	}
	w.busy = busy
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

// idle notes that a worker has nothing to do.
func (s *state) idle(w *workerState, now time.Time) {
	w.since = now
	s.spare = append(s.spare, w)
	if s.policy.idleTimeout > 0 {
		s.wake(now.Add(s.policy.idleTimeout))
	}
}

// condemn sends a worker a signal that is to end it.
func (s *state) condemn(w *workerState, sig syscall.Signal) {
	s.spare = slices.DeleteFunc(s.spare, func(v *workerState) bool { return v == w })
	s.enter(w, condemned)
	s.do(action{kind: actSignal, worker: w.id, signal: sig})
}

// forget removes a worker that is gone.
func (s *state) forget(w *workerState) {
	gone := func(v *workerState) bool { return v == w }
	s.workers = slices.DeleteFunc(s.workers, gone)
	s.phases[w.phase]--
	if w.busy {
		s.busy--
	}
	s.spare = slices.DeleteFunc(s.spare, gone)
}

// reject settles t with err.
func (s *state) reject(t *task, err error) {
	s.rejectEach(t, func(*task) error { return err })
}

// rejectEach settles each call of t with an error of its own.
func (s *state) rejectEach(t *task, why func(*task) error) {
	for n := range t.size() {
		s.do(action{kind: actReject, task: t, from: int32(t.first() + n), err: why(t)})
	}
}
