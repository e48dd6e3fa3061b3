package futures

import (
	"errors"
	"fmt"
)

// A Promise is the write side of a [Future], for tests and for code that is not a function call. Executors get a [Call]
// instead. Whoever holds a promise owes it an outcome.
type Promise[T any] struct{ future Future[T] }

// NewPromise makes a promise whose future is [Pending].
func NewPromise[T any]() *Promise[T] { return &Promise[T]{} }

// Future is the read side. It is the same one each time.
func (p *Promise[T]) Future() *Future[T] { return &p.future }

// Start moves the future from Pending to Running. It reports false if the future is not Pending, in particular because
// it was cancelled: the work must then not be done (row F14).
func (p *Promise[T]) Start() bool {
	p.future.mu.Lock()
	defer p.future.mu.Unlock()
	return p.future.start()
}

// Resolve gives the future its result. Waiters are woken and callbacks have run when it returns. On a future that has an
// outcome it changes nothing and returns an [ErrInvalidState] (row F15).
func (p *Promise[T]) Resolve(value T) error { return p.future.decide(value, nil) }

// Reject gives the future its error, like [Promise.Resolve]. A nil error is refused: unlike in Python it is not a result
// (row F16).
func (p *Promise[T]) Reject(err error) error {
	if err == nil {
		return fmt.Errorf("%w: Reject: err is nil", ErrInvalidState)
	}
	var zero T
	return p.future.decide(zero, err)
}

func (f *Future[T]) decide(value T, err error) error {
	f.mu.Lock()
	if f.settled() {
		state := f.state
		f.mu.Unlock()
		return fmt.Errorf("%w: %v: %v", ErrInvalidState, state, f)
	}
	f.value = value
	runCallbacks(f.settle(Finished, err))
	return nil
}

var errNilReject = errors.New("futures: BUG: an executor rejected a call without saying why")
