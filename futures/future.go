package futures

import (
	"context"
	"fmt"
)

// A Future is the read side of a result that somebody else has yet to produce. All its methods may be called by any
// number of goroutines. Two futures are the same exactly if their pointers are (row F19).
type Future[T any] struct {
	settlement
	value T // written before the state becomes Finished, by whoever settles
}

// Result waits for the outcome: the function's result, or the error it failed with. ctx bounds this wait and nothing
// else; the call goes on when it is done. An outcome that is already there wins over a ctx that is done (row F5). Every
// caller gets the same error value.
func (f *Future[T]) Result(ctx context.Context) (T, error) {
	var zero T
	if err := f.wait(ctx); err != nil {
		return zero, err
	}
	if f.err != nil {
		return zero, f.err
	}
	return f.value, nil
}

// Err is [Future.Result] without the value: Python's exception().
func (f *Future[T]) Err(ctx context.Context) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	return f.err
}

// wait returns nil once the future is settled; its value and err may then be read without a lock.
func (f *Future[T]) wait(ctx context.Context) error {
	settled, attendant := f.look()
	if !settled && attendant != nil && ctx.Err() == nil {
		attendant.Help()
		settled = f.isSettled()
	}
	if settled {
		return nil
	}
	done := f.Done()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-done: // both were ready
		return nil
	default:
		return context.Cause(ctx)
	}
}

// OnDone calls fn once when the future has its outcome, or now, in this goroutine, if it has. Callbacks run in the order
// in which they were added, one after the other, after waiters were woken, and never under a lock: they may submit, cancel
// and shut down. One that is added when the outcome is there does not wait for earlier ones. A panic in a callback is
// logged and does not stop the others (rows F7 to F12).
func (f *Future[T]) OnDone(fn func(*Future[T])) {
	f.addCallback(func() { fn(f) })
}

// String says where the future stands, and the type of its outcome but never its value (row F17).
func (f *Future[T]) String() string {
	state := f.State()
	if state != Finished {
		return fmt.Sprintf("<Future at %p state=%v>", f, state)
	}
	if f.err != nil {
		return fmt.Sprintf("<Future at %p state=finished raised %T>", f, f.err)
	}
	return fmt.Sprintf("<Future at %p state=finished returned %T>", f, f.value)
}

func (f *Future[T]) awaited() *settlement {
	if f == nil {
		return nil
	}
	return &f.settlement
}
