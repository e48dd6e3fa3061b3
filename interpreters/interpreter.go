package interpreters

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// An Interpreter is an isolated program inside this one: a guest. It shares nothing with this program or other interpreters but what
// is copied in and out, and keeps its state from call to call (row N1). There is one *Interpreter for an id, so pointers can be compared
// and be keys of maps (row N4). Its methods may be called by any number of goroutines; code runs in it for one of them at a time, in
// the goroutine of the call, and its own goroutines run during calls and not between them.
//
// An interpreter lives until Close or Kill, or until it dies of what its code does: see [Died].
type Interpreter struct {
	id int64

	mu       sync.Mutex
	state    state
	died     *Died     // why it died; nil while it lives, and if it was closed
	closed   bool      // Close was called
	instance *instance // nil in the main interpreter, and in one that is gone
}

// state is what an interpreter does:
//
//	        begin          finish
//	idle ─────────▶ busy ─────────▶ idle
//	 │                │
//	 │ Close, Kill    │ the guest dies
//	 ▼                ▼
//	gone             gone
type state uint8

const (
	idle state = iota
	busy
	gone
)

// mainInterpreter is this program. It is busy for ever.
var mainInterpreter = &Interpreter{state: busy}

// newInterpreter is one that runs its first code, in which a function of the host may already ask who runs.
func newInterpreter() *Interpreter { return &Interpreter{id: registry.nextID(), state: busy} }

// serves ends the first run of an interpreter that exists and can be called from now on, unless it was killed in it.
func (ip *Interpreter) serves(in *instance) (killed error) {
	ip.mu.Lock()
	defer ip.mu.Unlock()
	if cause := in.kill.Load(); cause != nil {
		return *cause
	}
	registry.add(ip)
	ip.state = idle
	return nil
}

// forget is the end of an interpreter that never could be called, for whoever has it from GetCurrent.
func (ip *Interpreter) forget() {
	ip.mu.Lock()
	defer ip.mu.Unlock()
	ip.closed, ip.state, ip.instance = true, gone, nil
}

// ID is the interpreter's number: 0 is the main one, and none is used twice (row N1).
func (ip *Interpreter) ID() int64 { return ip.id }

// Whence says who has made the interpreter, as Python does (row N6).
func (ip *Interpreter) Whence() string {
	if ip == mainInterpreter {
		return "runtime init"
	}
	return "_interpreters module"
}

// String is the interpreter as Python shows it: Interpreter(1) (row N7).
func (ip *Interpreter) String() string { return fmt.Sprintf("Interpreter(%d)", ip.id) }

// IsRunning reports whether a call is in progress. The main interpreter always runs; one that is gone does not (row N9).
func (ip *Interpreter) IsRunning() bool {
	ip.mu.Lock()
	defer ip.mu.Unlock()
	return ip.state == busy
}

// isGone reports whether it is closed or has died.
func (ip *Interpreter) isGone() bool {
	ip.mu.Lock()
	defer ip.mu.Unlock()
	return ip.closed || ip.state == gone
}

// begin claims the interpreter for a call. It is ended by finish.
func (ip *Interpreter) begin() (*instance, error) {
	ip.mu.Lock()
	defer ip.mu.Unlock()
	switch {
	case ip == mainInterpreter:
		return nil, fmt.Errorf("%w: %d is this program", ErrUnrecognized, ip.id)
	case ip.closed:
		return nil, fmt.Errorf("%w: %d", ErrNotFound, ip.id)
	case ip.state == busy:
		return nil, fmt.Errorf("%w: %d", ErrRunning, ip.id)
	case ip.state == gone:
		return nil, ip.died
	}
	ip.state = busy
	return ip.instance, nil
}

// finish gives the interpreter back. If the guest has failed, or was killed, it is buried instead, and the reason returned.
func (ip *Interpreter) finish(in *instance, failed error) error {
	ip.mu.Lock()
	killed := in.kill.Load()
	if failed == nil && killed == nil {
		ip.state = idle
		ip.mu.Unlock()
		return nil
	}
	ip.mu.Unlock()
	if failed == nil {
		in.stopped, failed = *killed, errKilled
	}
	died := autopsy(in.id, failed, in.stopped, in.stderr.String())
	ip.bury(in, died)
	return died
}

var errKilled = errors.New("interpreters: killed")

// bury takes the interpreter out of the world. It is called by whoever has claimed it.
func (ip *Interpreter) bury(in *instance, died *Died) {
	registry.remove(ip)
	in.close()
	in.code.release()
	ip.mu.Lock()
	defer ip.mu.Unlock()
	ip.state, ip.died, ip.instance = gone, died, nil
}

// Close ends the interpreter. It returns ErrRunning if code runs in it, which is always so for the main one and for that of the caller, and
// ErrNotFound if it was closed before (row N10). The first Close of one that has died returns nil.
func (ip *Interpreter) Close() error {
	in, err := ip.beginClose()
	if in != nil {
		ip.bury(in, nil)
	}
	return err
}

// beginClose claims the interpreter for its burial, if there is something to bury.
func (ip *Interpreter) beginClose() (*instance, error) {
	ip.mu.Lock()
	defer ip.mu.Unlock()
	switch {
	case ip.closed:
		return nil, fmt.Errorf("%w: %d", ErrNotFound, ip.id)
	case ip.state == busy:
		return nil, fmt.Errorf("%w: %d", ErrRunning, ip.id)
	}
	ip.closed = true
	if ip.state == gone {
		return nil, nil
	}
	ip.state = busy
	return ip.instance, nil
}

// Kill ends the interpreter whatever it does. A call that is in progress ends soon, with a *[Died] that matches cause; if a function
// of the host is running for the guest, its ctx is done, and it is waited for. Kill does not wait. It does nothing to the main interpreter, and
// to one that is gone.
func (ip *Interpreter) Kill(cause error) {
	if cause == nil {
		cause = errKilled
	}
	ip.mu.Lock()
	in, claimed := ip.instance, ip.state == idle
	switch {
	case claimed:
		ip.state = busy
	case in != nil:
		in.kill.CompareAndSwap(nil, &cause)
	}
	ip.mu.Unlock()
	switch {
	case claimed:
		ip.bury(in, autopsy(in.id, errKilled, cause, in.stderr.String()))
	case in != nil:
		in.awake(cause)
	}
}

// use claims the interpreter and does f with its instance. A fatal error of f is the end of the interpreter, and so is a panic.
func (ip *Interpreter) use(ctx context.Context, f func(*instance) (fatal, err error)) error {
	in, err := ip.begin()
	if err != nil {
		return err
	}
	fatal := errLeft
	defer func() {
		if fatal != nil && errors.Is(fatal, errLeft) {
			_ = ip.finish(in, fatal) // whoever left has another reason
		}
	}()
	if ctx.Err() != nil {
		fatal, err = nil, context.Cause(ctx)
	} else {
		in.begin(ctx, in.config.Grace)
		fatal, err = f(in)
		in.end()
	}
	if died := ip.finish(in, fatal); died != nil {
		return died
	}
	return err
}

var errLeft = errors.New("interpreters: the goroutine of a call has ended")
