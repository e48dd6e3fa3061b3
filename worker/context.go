package worker

import (
	"context"
	"sync"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A callContext is the ctx of one function: bounded by the caller's deadline and the call's timeout, and done on a cancel.
// The ctx it is made of is made when somebody first asks it something, which most functions never do.
type callContext struct {
	meta *ipc.Meta

	mu      sync.Mutex
	began   time.Time // if there is a timeout
	ctx     context.Context
	release func() // of ctx
	cause   error  // why it is done; nil while it is not
}

// begin starts the time of the call's timeout.
func (c *callContext) begin() {
	if c.meta.Timeout != 0 {
		c.began = time.Now() // before the function has it
	}
}

// end makes it done for good.
func (c *callContext) end() { c.cancel(context.Canceled) }

// cancel makes it done for a reason, unless it is already.
func (c *callContext) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
	}
	if c.release != nil {
		c.release()
	}
}

func (c *callContext) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil {
		return c.ctx
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	c.release = func() { cancel(c.cause) }
	if c.cause != nil {
		c.release()
	}
	if c.meta.Deadline != 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, time.Unix(0, c.meta.Deadline))
		c.release = join(c.release, stop)
	}
	if c.meta.Timeout != 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, c.began.Add(time.Duration(c.meta.Timeout)), futures.ErrTimeout)
		c.release = join(c.release, stop)
	}
	c.ctx = ctx
	return ctx
}

func join(f, g func()) func() { return func() { f(); g() } }

func (c *callContext) Deadline() (time.Time, bool) { return c.made().Deadline() }
func (c *callContext) Done() <-chan struct{}       { return c.made().Done() }
func (c *callContext) Err() error                  { return c.made().Err() }
func (c *callContext) Value(key any) any           { return c.made().Value(key) }
