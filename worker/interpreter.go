package worker

import (
	"context"
	"errors"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// ErrNoVar is the error of [Var] for a name that nobody has bound.
var ErrNoVar = errors.New("worker: name is not bound")

// Self is the id of the interpreter that runs the caller (row N3). It is 0, that of the main interpreter, in a program that is
// not a guest of package interpreters.
func Self() int64 { return self() }

// Var is what the host's PrepareMain has bound to name in this interpreter (row N12): a copy each time. The error matches [ErrNoVar] if there is
// nothing, as is always so outside of interpreters, and futures.ErrNotShareable if it is not a T.
func Var[T any](name string) (v T, err error) {
	encoded, err := bound(name)
	if err == nil {
		err = ipc.DecodeValue(encoded, &v)
	}
	return v, err
}

// Checkpoint returns why ctx is done, or nil while it is not. A function that computes without ever waiting calls it now and then, every millisecond
// or so: an interpreter has one thread, and nothing else would tell ctx that its time is over or its caller gone. It costs less than a
// microsecond there, and nothing elsewhere.
func Checkpoint(ctx context.Context) error { return checkpoint(ctx) }

func natively(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}
