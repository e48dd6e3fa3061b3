package futures

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Submit hands fn and in to ex and returns their future at once; it waits only where ex has a bounded queue that is full.
//
// It never panics and never loses a call: one that is refused comes back as a future that is done with the reason.
//
// ctx bounds the call's whole life. Once it is done, a call that has not started is cancelled, and the ctx of one that
// runs is done as well, whichever process it runs in; executors that can kill do so when the function does not listen.
// ctx's values do not travel to other processes, but its deadline does.
func Submit[In, Out any](ctx context.Context, ex Executor, fn Func[In, Out], in In, opts ...CallOption) *Future[Out] {
	c := newCall(ctx, fn, in, collectCall(opts))
	if c.admit(ex) {
		ex.Submit(c)
	}
	return c.future
}

// call is a submitted call as its executor sees it. The future knows nothing of it once it is settled, so that keeping
// results does not keep the arguments alive (row E10).
type call[In, Out any] struct {
	future *Future[Out]
	fn     Func[In, Out]
	in     In
	ctx    context.Context // the call's own life; kept because the executor runs it later, elsewhere
	set    *callSettings
}

func newCall[In, Out any](ctx context.Context, fn Func[In, Out], in In, set *callSettings) *call[In, Out] {
	return &call[In, Out]{future: new(Future[Out]), fn: fn, in: in, ctx: ctx, set: set}
}

// admit checks the call before an executor sees it, and watches its ctx.
func (c *call[In, Out]) admit(ex Executor) bool {
	err := check(c.ctx, ex, c.fn, c.set)
	if c.ctx == nil {
		c.ctx = context.Background()
	}
	switch {
	case err != nil:
		return c.refuse(err)
	case c.ctx.Err() != nil:
		c.giveUp()
		return false
	case c.ctx.Done() != nil:
		c.watch()
	}
	return true
}

// check says what is wrong with a call before an executor sees it.
func check(ctx context.Context, ex Executor, fn Callable, set *callSettings) error {
	switch {
	case ex == nil:
		return errors.New("futures: Submit: the executor is nil")
	case ctx == nil:
		return errors.New("futures: Submit: ctx is nil")
	case fn.Name() == "":
		return errors.New("futures: Submit: the Func is the zero Func: make it with NewFunc or Declare")
	case set.err != nil:
		return fmt.Errorf("%w (call of %s)", set.err, fn.Name())
	default:
		return nil
	}
}

func (c *call[In, Out]) refuse(err error) bool {
	c.Reject(err)
	return false
}

// watch has the call given up when its ctx is done. Nobody else knows the call yet.
func (c *call[In, Out]) watch() {
	room := new(struct { // which most of them need together
		audience
		watched
	})
	room.audience.watched = &room.watched
	c.future.audience = &room.audience
	room.watchFor(c.ctx, c)
}

// giveUp is what happens when the call's ctx is done. Callbacks get a goroutine of their own: other calls are to be given up as well.
func (c *call[In, Out]) giveUp() {
	s, cause := &c.future.settlement, context.Cause(c.ctx)
	holder, callbacks, cancelled := s.cancel(&cancelledError{cause})
	switch {
	case holder != nil:
		holder.Cancelled()
	case !cancelled:
		s.mu.Lock()
		holder = s.holder
		s.mu.Unlock()
		if holder != nil {
			holder.Interrupt(cause)
		}
	}
	if len(callbacks) > 0 {
		go runCallbacks(callbacks)
	}
}

func (c *call[In, Out]) Func() Callable           { return c.fn }
func (c *call[In, Out]) Context() context.Context { return c.ctx }
func (c *call[In, Out]) Timeout() time.Duration   { return c.set.timeout }
func (c *call[In, Out]) Retries() int             { return c.set.retries }
func (c *call[In, Out]) Arg() any                 { return &c.in }
func (c *call[In, Out]) Out() any                 { return &c.future.value }
func (c *call[In, Out]) State() State             { return c.future.State() }
func (c *call[In, Out]) sealed()                  {}

// Start fails once the ctx is done, even if word of that is still on its way to giveUp, which then cancels the call. A call
// that is lent has started already where it is.
func (c *call[In, Out]) Start() bool {
	s := &c.future.settlement
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lent && c.ctx.Err() != nil {
		return false
	}
	return s.start()
}

func (c *call[In, Out]) Hold(h Holder) bool {
	s := &c.future.settlement
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled() {
		return false
	}
	s.holder = h
	return true
}

func (c *call[In, Out]) Lend(l Lease) bool {
	s := &c.future.settlement
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Pending || c.ctx.Err() != nil { // in the second case giveUp is on its way to cancel it
		return false
	}
	s.holder, s.lent = l, true
	return true
}

func (c *call[In, Out]) Recall() bool {
	s := &c.future.settlement
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Pending || !s.lent || !s.withdrawn() {
		return false
	}
	s.lent = false
	return true
}

func (c *call[In, Out]) Resolve() bool { return c.end(nil) }

func (c *call[In, Out]) Reject(err error) bool {
	if err == nil {
		err = errNilReject
	}
	return c.end(err)
}

// Cancel gives callbacks a goroutine of their own, like end.
func (c *call[In, Out]) Cancel() bool {
	_, callbacks, cancelled := c.future.cancel(ErrCancelled)
	if len(callbacks) > 0 {
		go runCallbacks(callbacks)
	}
	return cancelled
}

// end settles the call on behalf of an executor: callbacks get a goroutine of their own, so that they hold up neither
// the executor nor the next result.
func (c *call[In, Out]) end(err error) bool {
	s := &c.future.settlement
	s.mu.Lock()
	if s.settled() {
		s.mu.Unlock()
		return false
	}
	if callbacks := s.settle(Finished, err); len(callbacks) > 0 {
		go runCallbacks(callbacks) // ends with the last callback; nobody waits for user code
	}
	return true
}

func (c *call[In, Out]) Invoke(ctx context.Context) {
	if c.set.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.set.timeout, ErrTimeout)
		defer cancel()
	}
	if err := c.fn.run(ctx, c.in, &c.future.value); err != nil {
		c.Reject(err)
		return
	}
	c.Resolve()
}
