package futures

import (
	"context"
	"time"
)

// An Executor runs calls somewhere: on goroutines, in processes, on other machines. [Submit], [Map] and the rest work
// over any of them. Its methods may be called by any number of goroutines.
//
// To implement one, take over each [Call] in Submit and see that it is settled exactly once:
//
//   - refuse it with c.Reject([ErrShutdown]), or an error that matches [ErrBrokenExecutor], if it can no longer run;
//   - otherwise tell the call who holds it (c.Hold), queue it, and when its turn comes ask c.Start; on false drop it, for
//     it was cancelled;
//   - run it with c.Invoke, or send c.Arg away, fill c.Out and say c.Resolve or c.Reject.
type Executor interface {
	// Submit takes c over. It returns without waiting for c to run; an executor with a bounded queue may wait for room,
	// but no longer than until c.Context is done or the executor shuts down.
	Submit(c Call)

	// Shutdown refuses calls from now on and lets those already accepted finish, or with [CancelFutures] only those that
	// run; then it stops the workers. It returns when all that is over, or when ctx is done with ctx's cause: ctx bounds the
	// wait and not the work. It may be called any number of times, and a later call may add CancelFutures.
	Shutdown(ctx context.Context, opts ...ShutdownOption) error

	// Close is Shutdown without a bound on the wait.
	Close() error
}

// A ShutdownOption changes what Shutdown does.
type ShutdownOption func(*ShutdownSettings)

// ShutdownSettings are the collected options of one Shutdown, for implementers of executors.
type ShutdownSettings struct{ CancelFutures bool }

// CancelFutures makes Shutdown cancel every call that has not started.
func CancelFutures() ShutdownOption { return func(s *ShutdownSettings) { s.CancelFutures = true } }

// CollectShutdown applies opts, for implementers of executors.
func CollectShutdown(opts []ShutdownOption) (s ShutdownSettings) {
	for _, opt := range opts {
		opt(&s)
	}
	return s
}

// A Call is one submitted call as its executor sees it. The executor that got it owes it an outcome, exactly one; a
// second one is refused. Its methods do not block and may be called under the executor's own locks, except Invoke.
type Call interface {
	Func() Callable
	Context() context.Context // the ctx given to Submit: it bounds the call's whole life
	Timeout() time.Duration   // from the start of execution; zero means none
	Retries() int             // how often it may run again after a crash

	// Arg points to the argument: a *In. It must not be changed, nor used once the call is settled.
	Arg() any

	// Out points to room for the result: a *Out. Only the party that is about to say Resolve may write there.
	Out() any

	// State is [Future.State].
	State() State

	// Hold tells the call which executor answers for it now. It reports false if the call is settled already.
	Hold(Holder) bool

	// Start marks the call as running. On false it was cancelled and must not run.
	Start() bool

	// Lend marks the call as out of the executor's hands but not started: l holds it from now on, and knows whether it has
	// started.
	// It reports false if the call was cancelled.
	Lend(l Lease) bool

	// Recall undoes Lend: it withdraws the lease and reports whether the call is the executor's again. It is not if it has
	// started, or was cancelled.
	Recall() bool

	// Resolve settles the call with what is in Out. It reports false if the call was settled already.
	Resolve() bool

	// Reject settles the call with err. It reports false if the call was settled already.
	Reject(err error) bool

	// Cancel settles a call that has not started as cancelled, for an executor that shuts down. It reports whether the call
	// is cancelled, also when it already was. The Holder is not told: it is the one who asks.
	Cancel() bool

	// Invoke runs the body in this goroutine, under ctx and the call's Timeout, and settles the call. ctx should descend from
	// Context. If the body leaves by runtime.Goexit, Invoke does not return and the call is not settled.
	Invoke(ctx context.Context)

	sealed()
}

// A Holder is the executor's answer for a call it has accepted. The methods are called without locks, from any goroutine,
// and should return soon.
type Holder interface {
	// Cancelled says that the call was cancelled before it started. It is settled; the holder only has to drop it.
	Cancelled()

	// Interrupt says that the ctx of a call that has started is done, and why. The holder sees to it that the call ends.
	Interrupt(cause error)
}

// An Attendant is a Holder that has less to do as long as nobody waits for the call. Its methods are called without locks.
type Attendant interface {
	Holder

	// Attend says that somebody waits for the call, now or soon.
	Attend()

	// Help says that somebody is about to wait for the call, and lends the goroutine for what is to be done until then. It
	// returns when the call is settled, when it cannot help, or after a millisecond or so: the caller waits for the rest.
	Help()
}

// A Lease is a Holder that knows whether a call that was sent ahead to a worker has started there. Its own two methods are
// called under the call's lock: they are atomic operations, and take no lock and wait for nothing.
type Lease interface {
	Holder

	// Started reports whether the worker has started the call.
	Started() bool

	// Withdraw takes the call back if it has not started, and reports whether it did. The worker will not start it then.
	Withdraw() bool
}
