package futures

import (
	"context"
	"errors"
	"fmt"
	"reflect"
)

var (
	// ErrCancelled is the error of a call that was cancelled before it started, by [Future.Cancel], by
	// [CancelFutures], or because the ctx given to [Submit] was done first (the error then matches that cause too).
	ErrCancelled = errors.New("futures: cancelled before it started")

	// ErrShutdown refuses a call that was submitted after Shutdown or Close.
	ErrShutdown = errors.New("futures: cannot submit after shutdown")

	// ErrBrokenExecutor is matched by every error that says that an executor can no longer run anything.
	ErrBrokenExecutor = errors.New("futures: broken executor")

	// ErrInvalidState is returned by [Promise.Resolve] and [Promise.Reject] on a future that already has an outcome.
	ErrInvalidState = errors.New("futures: invalid state")

	// ErrTimeout is the cause of a call that ran for longer than its [Timeout].
	ErrTimeout = errors.New("futures: call timed out")

	// ErrNotShareable says that an argument or a result cannot travel between the caller and the worker.
	ErrNotShareable = errors.New("futures: value is not shareable")

	// ErrNoBody says that a Func has no body where it was to run: it is only declared there, or the worker does not
	// offer it.
	ErrNoBody = errors.New("futures: no body for func")
)

// A TaskError is a function's own failure: the error it returned, or its panic. Every executor reports failures of
// functions as a *TaskError, wherever they ran, and failures of its own as something else.
//
// Where the function ran in this process, the error it returned is among Causes. Where it ran elsewhere, Causes holds
// the sentinels known by both sides (worker.RegisterError), so that [errors.Is] finds them. If the call's ctx was done
// when the function failed with the ctx's error, the reason is there as well: [ErrTimeout], say.
type TaskError struct {
	Func     string  // name of the Func
	Type     string  // type of the error or of the panic's value, as %T prints it where it ran
	Message  string  // text of the error or of the panic's value
	Stack    string  // stack of the panic, where it ran; empty for an error that was returned
	Panicked bool    // the function panicked, or left by runtime.Goexit
	Causes   []error // what errors.Is and errors.As see
}

func (e *TaskError) Error() string {
	if e.Panicked {
		return e.Func + ": panic: " + e.Message
	}
	return e.Func + ": " + e.Message
}

// Unwrap lets [errors.Is] and [errors.As] look through Causes.
func (e *TaskError) Unwrap() []error { return e.Causes }

// Format adds the stack of a panic to the %+v form.
func (e *TaskError) Format(s fmt.State, verb rune) {
	text := e.Error()
	if verb == 'q' {
		text = fmt.Sprintf("%q", text)
	}
	if verb == 'v' && s.Flag('+') && e.Stack != "" {
		text += "\n\n" + e.Stack
	}
	_, _ = s.Write([]byte(text)) // fmt.State keeps the error
}

// taskFailed wraps what a body returned. The cause of a done ctx is added where the body failed because of it.
func taskFailed(ctx context.Context, name string, err error) *TaskError {
	causes := []error{err}
	if ctxErr := ctx.Err(); ctxErr != nil && errors.Is(err, ctxErr) {
		if cause := context.Cause(ctx); !errors.Is(ctxErr, cause) {
			causes = append(causes, cause)
		}
	}
	return &TaskError{Func: name, Type: fmt.Sprintf("%T", err), Message: text(err), Causes: causes}
}

func taskPanicked(name string, value any, stack []byte) *TaskError {
	e := &TaskError{Func: name, Type: fmt.Sprintf("%T", value), Message: text(value), Stack: string(stack), Panicked: true}
	if err, ok := value.(error); ok {
		e.Causes = []error{err}
	}
	return e
}

// GoexitError is for implementers of executors: the failure of a func that left its goroutine by [runtime.Goexit]
// instead of returning. The executor notices it, since it has lost a goroutine.
func GoexitError(name string) *TaskError {
	return &TaskError{Func: name, Type: "runtime.Goexit", Message: "the function called runtime.Goexit and never returned", Panicked: true}
}

// text is v's own text. An Error or String method that panics must not take the executor down with it.
func text(v any) (s string) {
	defer func() {
		if r := recover(); r != nil {
			s = fmt.Sprintf("(%T: its text cannot be had: panic: %v)", v, reflect.TypeOf(r))
		}
	}()
	if err, ok := v.(error); ok {
		return err.Error()
	}
	return fmt.Sprint(v)
}

// cancelledError is ErrCancelled together with the reason, when the ctx given to Submit was the reason.
type cancelledError struct{ cause error }

func (e *cancelledError) Error() string   { return ErrCancelled.Error() + ": " + e.cause.Error() }
func (e *cancelledError) Unwrap() []error { return []error{ErrCancelled, e.cause} }

// An UnfinishedError is the last thing that [AsCompleted] yields when its ctx was done first.
type UnfinishedError struct {
	Unfinished int   // futures not yielded
	Total      int   // distinct futures given
	Cause      error // why the ctx was done
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("futures: %d (of %d) futures unfinished", e.Unfinished, e.Total)
}

// Unwrap gives the cause of the ctx.
func (e *UnfinishedError) Unwrap() error { return e.Cause }
