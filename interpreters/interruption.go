package interpreters

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/interpreters/internal/meter"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// A guest ends by itself when it is asked to: its ctx is done then. Who does not listen is stopped when the grace is over. All of this happens in
// the goroutine that runs the guest, in the functions of the host that the guest calls anyway: nobody else watches over it.

// tick is called by the guest after so many loops.
func (in *instance) tick() {
	if in.config.Fuel > 0 {
		if in.ticks--; in.ticks == 0 {
			in.stop(ErrOutOfFuel)
		}
	}
	in.obey()
	if time.Since(in.run.resumed) > slice {
		runtime.Gosched()
		in.run.resumed = time.Now()
	}
}

// Units, as package meter counts them, of what the host's functions do. A call of one has cost as much as 16 to a tick already.
const (
	unitsOfCall = meter.DefaultEvery / 16 // of one more thing to do in a call

	bytesMade  = 4  // random bytes for a unit, and bytes of values that are looked at
	bytesMoved = 64 // bytes for a unit that are copied
)

// charge counts units that a function of the host is about to work for the guest, and ticks for them: however much a guest has the host do in one call, it
// pays for it and can be stopped.
func (in *instance) charge(units uint64) {
	for in.charged += units; in.charged >= meter.DefaultEvery; in.charged -= meter.DefaultEvery {
		in.tick()
	}
}

// slice is how long a guest computes before it lets others run. Go would let it go on for 10 ms, and longer while it has much to do.
const slice = 5 * time.Millisecond

// obey stops the guest if it is to be stopped, and asks it to end if it is to be asked.
func (in *instance) obey() {
	if cause := in.kill.Load(); cause != nil {
		in.stop(*cause)
	}
	switch {
	case !in.run.asked.IsZero():
		if time.Since(in.run.asked) >= in.run.grace {
			in.stop(in.reason())
		}
	case in.reason() != nil:
		in.ask()
	}
}

// ask asks the guest to end.
func (in *instance) ask() {
	if in.run.grace <= 0 {
		in.stop(in.reason())
	}
	in.run.asked = time.Now()
	in.events.post(abi.EventCancel, uint64(in.run.id))
}

// reason is why the call is to end; nil while it is not. A deadline counts at once: while guests compute, a ctx may learn of it late.
func (in *instance) reason() error {
	if in.run.ctx.Err() != nil {
		return context.Cause(in.run.ctx)
	}
	if !in.run.deadline.IsZero() && !time.Now().Before(in.run.deadline) {
		return in.run.overdue
	}
	return nil
}

// interrupted is what the guest hears when it asks.
func (in *instance) interrupted() uint64 {
	in.obey()
	switch reason := in.reason(); {
	case reason == nil:
		return abi.InterruptNone
	case errors.Is(reason, context.DeadlineExceeded):
		return abi.InterruptDeadline
	case errors.Is(reason, futures.ErrTimeout):
		return abi.InterruptTimeout
	default:
		return abi.InterruptCancelled
	}
}

// A wait is what a guest waits for.
type wait struct {
	events bool            // any event
	clock  time.Duration   // so much time; negative for none
	ready  <-chan struct{} // something of the host; may be nil
}

// wait waits on behalf of the guest, and reports whether there are events that it waits for. It does not return if the guest is stopped.
func (in *instance) wait(w wait) bool {
	var alarm, over <-chan time.Time
	if w.clock > 0 {
		t := time.NewTimer(w.clock)
		defer t.Stop()
		alarm = t.C
	}
	for {
		in.obey()
		if w.events && in.events.any() {
			return true
		}
		if w.clock == 0 {
			return false
		}
		done := in.run.ctx.Done()
		if !in.run.asked.IsZero() {
			if over == nil {
				t := time.NewTimer(in.run.grace - time.Since(in.run.asked))
				defer t.Stop()
				over = t.C
			}
			done = nil
		} else if w.clock < 0 && w.ready == nil && !in.port.waits() && (done == nil || !in.run.listens) {
			in.deadlocked(w.events)
			continue
		}
		select {
		case <-in.events.wake:
		case <-alarm:
			return false
		case <-w.ready:
			return false
		case <-done: // obey sees to it
		case <-over: // obey sees to it
		}
	}
}

// deadlocked lets the guest say on its standard error who waits for what, if it can, and stops it otherwise.
func (in *instance) deadlocked(listens bool) {
	if !listens || in.run.deadlock {
		in.stop(errDeadlock)
	}
	in.run.deadlock = true
	in.events.post(abi.EventDeadlock, 0)
}
