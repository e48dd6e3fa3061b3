package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A callContext is the ctx of one function: bounded by the caller's deadline and the call's timeout, and done on a cancel.
// What it is made of is made when somebody first asks it something, which most functions never do: there is one for each call.
type callContext struct {
	meta *ipc.Meta
	id   uint64 // of the call
	life atomic.Pointer[life]
}

// life is what a callContext that matters is made of.
type life struct {
	mu      sync.Mutex
	began   time.Time // if there is a timeout
	ctx     context.Context
	release func() // of ctx
	cause   error  // why it is done; nil while it is not
}

// over is the life of every ctx that nobody has asked anything before its call was over.
var over = new(life)

// begin starts the time of the call's timeout.
func (c *callContext) begin() {
	if c.meta.Timeout != 0 {
		l := c.lead()
		l.mu.Lock()
		l.began = time.Now() // before the function has it
		l.mu.Unlock()
	}
}

// lead is the ctx's life, from now on if there was none.
func (c *callContext) lead() *life {
	for {
		switch l := c.life.Load(); l {
		case nil:
			c.life.CompareAndSwap(nil, new(life))
		case over:
			c.life.CompareAndSwap(over, &life{cause: context.Canceled})
		default:
			return l
		}
	}
}

// end makes it done for good.
func (c *callContext) end() {
	if !c.life.CompareAndSwap(nil, over) {
		c.cancel(context.Canceled)
	}
}

// cancel makes it done for a reason, unless it is already.
func (c *callContext) cancel(cause error) {
	l := c.lead()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = cause
	}
	if l.release != nil {
		l.release()
	}
}

func (c *callContext) get() context.Context {
	l := c.lead()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx != nil {
		return l.ctx
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	l.release = func() { cancel(l.cause) }
	if l.cause != nil {
		l.release()
	}
	if c.meta.Deadline != 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, time.Unix(0, c.meta.Deadline))
		l.release = join(l.release, stop)
	}
	if c.meta.Timeout != 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, l.began.Add(time.Duration(c.meta.Timeout)), futures.ErrTimeout)
		l.release = join(l.release, stop)
	}
	if l.cause != nil {
		l.release() // its timers, too
	}
	l.ctx = ctx
	return ctx
}

func join(f, g func()) func() { return func() { f(); g() } }

func (c *callContext) Deadline() (time.Time, bool) { return c.get().Deadline() }
func (c *callContext) Err() error                  { return c.get().Err() }
func (c *callContext) Value(key any) any           { return c.get().Value(key) }

func (c *callContext) Done() <-chan struct{} {
	listen() // before anybody waits
	return c.get().Done()
}
