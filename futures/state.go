package futures

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
)

// State is where a future stands.
//
//	Pending ──▶ Running ──▶ Finished
//	   │  └────────────────────▲
//	   └─────▶ Cancelled
//
// Cancelled and Finished are final. A Pending future becomes Finished without running when its executor refuses it or
// breaks. Unlike in Python, Running means that the function has started, never merely that it is next (row P21).
type State uint8

const (
	Pending   State = iota // not started
	Running                // started; it can no longer be cancelled
	Cancelled              // cancelled before it started; it never will
	Finished               // it has a result or an error
)

func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case Running:
		return "running"
	case Cancelled:
		return "cancelled"
	case Finished:
		return "finished"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// settlement is what every future is apart from its value: its state, its error, and whoever waits for them.
//
// mu is a leaf lock, but for that of an inbox: nothing that waits or belongs to a user is called while it is held. An
// executor may therefore ask about a call while it holds locks of its own.
type settlement struct {
	mu       sync.Mutex
	state    State
	lent     bool      // Pending, but out of the executor's hands: holder is a Lease, and knows whether it started
	holder   Holder    // the executor that accepted the call; nil before, and once settled
	err      error     // Finished: the failure, if any. Cancelled: why
	audience *audience // nil unless somebody waits: most futures are looked at when they are settled
}

// audience is whoever waits for a future.
type audience struct {
	done      chan struct{} // made when somebody first asks; closed once state is final
	waiters   []waiter      // told once state is final
	callbacks []func()      // run once state is final, in this order
	watched   *watched      // nil unless the ctx given to Submit may be done
}

// listeners is asked with mu held.
func (s *settlement) listeners() *audience {
	if s.audience == nil {
		s.audience = new(audience)
	}
	return s.audience
}

// startedElsewhere reports whether a Pending future that is lent has started after all. It is asked with mu held.
func (s *settlement) startedElsewhere() bool { return s.lent && s.holder.(Lease).Started() }

// withdrawn makes sure that a Pending future does not start. It is asked with mu held.
func (s *settlement) withdrawn() bool { return !s.lent || s.holder.(Lease).Withdraw() }

// closedChan is the Done channel of every future that had its outcome before anybody asked.
var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// settled is asked with mu held.
func (s *settlement) settled() bool { return s.state == Cancelled || s.state == Finished }

func (s *settlement) isSettled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled()
}

// look reports whether the future is settled, and who looks after it if not: nil if nobody does, or has to be told of it.
func (s *settlement) look() (bool, Attendant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	attendant, _ := s.holder.(Attendant)
	return s.settled(), attendant
}

// attend tells whoever looks after the future that somebody waits.
func (s *settlement) attend() {
	if _, attendant := s.look(); attendant != nil {
		attendant.Attend()
	}
}

// State reports where the future stands now.
func (s *settlement) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.startedElsewhere() {
		return Running
	}
	return s.state
}

// Done is closed when the future has its outcome: a result, an error, or its cancellation.
func (s *settlement) Done() <-chan struct{} {
	defer s.attend() // without the lock
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.audience == nil && s.settled() {
		return closedChan
	}
	a := s.listeners()
	if a.done == nil {
		a.done = make(chan struct{})
	}
	return a.done
}

// Cancel gives the call up if it has not started, and reports whether it is cancelled: also when it already was. Waiters
// are woken and callbacks have run when Cancel returns (rows F1, F2).
func (s *settlement) Cancel() bool {
	return s.giveUp(ErrCancelled)
}

// giveUp is Cancel with a reason.
func (s *settlement) giveUp(why error) bool {
	holder, callbacks, cancelled := s.cancel(why)
	if holder != nil {
		holder.Cancelled()
	}
	runCallbacks(callbacks)
	return cancelled
}

// cancel moves a future that has not started to Cancelled. It returns whom that concerns, the first time, and whether
// the future is cancelled now.
func (s *settlement) cancel(why error) (holder Holder, callbacks []func(), cancelled bool) {
	s.mu.Lock()
	if s.state != Pending || !s.withdrawn() {
		defer s.mu.Unlock()
		return nil, nil, s.state == Cancelled
	}
	holder = s.holder
	return holder, s.settle(Cancelled, why), true // settle unlocks
}

// start moves a Pending future to Running. It is called with mu held.
func (s *settlement) start() bool {
	if s.state != Pending {
		return false
	}
	s.state, s.lent = Running, false
	return true
}

// settle moves to a final state, frees what is no longer needed, wakes every waiter and returns the callbacks that are
// due. It is called with mu held and unlocks it.
func (s *settlement) settle(to State, err error) (callbacks []func()) {
	s.state, s.err = to, err
	s.lent, s.holder = false, nil
	a := s.audience
	if a == nil {
		s.mu.Unlock()
		return nil
	}
	for _, w := range a.waiters { // first: whoever sees the outcome can rely on it that the waiters know
		w.to.tell(w.index)
	}
	if a.done != nil {
		close(a.done)
	} else {
		s.audience = nil
	}
	callbacks, watched := a.callbacks, a.watched
	a.waiters, a.callbacks, a.watched = nil, nil, nil
	s.mu.Unlock()
	if watched != nil {
		watched.settled()
	}
	return callbacks
}

// addCallback arranges for fn to run once the future is settled, now if it is.
func (s *settlement) addCallback(fn func()) {
	if !s.join(func(a *audience) { a.callbacks = append(a.callbacks, fn) }) {
		runCallbacks([]func(){fn})
	}
}

// join lets somebody into the audience. It reports false, and does not, if the future is settled: nobody would be told any more.
func (s *settlement) join(enter func(*audience)) bool {
	s.mu.Lock()
	if s.settled() {
		s.mu.Unlock()
		return false
	}
	enter(s.listeners())
	s.mu.Unlock()
	s.attend()
	return true
}

// runCallbacks runs each once and in order. A panic is logged and contained (row F9); a callback that leaves by
// runtime.Goexit takes its goroutine with it, but not the callbacks after it.
func runCallbacks(callbacks []func()) {
	defer func() {
		if len(callbacks) > 0 {
			go runCallbacks(callbacks) // the goroutine is lost to Goexit; this one ends with the callbacks
		}
	}()
	for len(callbacks) > 0 {
		fn := callbacks[0]
		callbacks = callbacks[1:]
		runCallback(fn)
	}
}

func runCallback(fn func()) {
	defer func() {
		if r := recover(); r != nil {
			slog.Error("futures: a done callback panicked", "panic", text(r), "stack", string(debug.Stack()))
		}
	}()
	fn()
}

// A waiter is told its index when the future it waits at is settled.
type waiter struct {
	to    *inbox
	index int
}

// await tells w once the future is settled, at once if it is.
func (s *settlement) await(w waiter) {
	if !s.join(func(a *audience) { a.waiters = append(a.waiters, w) }) {
		w.to.tell(w.index)
	}
}

// forget removes every waiter of in, so that nothing stays behind at a future nobody waits for any more (row W12).
func (s *settlement) forget(in *inbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.audience; a != nil {
		a.waiters = slices.DeleteFunc(a.waiters, func(w waiter) bool { return w.to == in })
	}
}

// An inbox collects the indexes of settled futures for one reader.
type inbox struct {
	mu      sync.Mutex
	arrived []int
	wake    chan struct{} // holds one token while arrived is not empty
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (in *inbox) tell(index int) {
	in.mu.Lock()
	in.arrived = append(in.arrived, index)
	in.mu.Unlock()
	select {
	case in.wake <- struct{}{}:
	default: // a token is waiting already
	}
}

// take empties the inbox into buf.
func (in *inbox) take(buf []int) []int {
	in.mu.Lock()
	defer in.mu.Unlock()
	buf = append(buf[:0], in.arrived...)
	in.arrived = in.arrived[:0]
	return buf
}
