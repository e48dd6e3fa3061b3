package procpool

import (
	"slices"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

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
	liar       bool      // condemned: it has claimed what cannot be
	lastChance bool      // patience with the overdue call has ended once, when its answer seemed to be on its way
	killAt     time.Time // when patience ends with the overdue call, the answer that is owed, or the leaving; zero: not at all
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
