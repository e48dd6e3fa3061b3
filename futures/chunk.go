package futures

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Chunker is an [Executor] that gains by taking several calls of a [Map] as one. Being in a chunk is a matter of transport:
// each call still has its own fate.
type Chunker interface {
	Executor

	// ChunkSize is how many calls of fn should travel together now, if the user does not say: 1 if that is not known, or if they take
	// long; 0 if calls should be submitted one by one.
	ChunkSize(fn Callable) int

	// EncodeArg appends what will be sent of an argument, to which arg points.
	EncodeArg(dst []byte, fn Callable, arg any) ([]byte, error)

	// SubmitChunk takes c over, like Submit.
	SubmitChunk(c Chunk)
}

// A Chunk is several calls of one [Map] as their executor sees them, numbered from 0. The executor that got it owes each an
// outcome, exactly one. Its methods do not block and may be called under the executor's own locks.
type Chunk interface {
	Func() Callable
	Context() context.Context // of the Map: it bounds the whole life of each call
	Timeout() time.Duration   // of each call, from the start of its execution; zero means none
	Retries() int             // how often each may run again after a crash
	Whole() bool              // the user chose the size: the calls should go to one worker

	// Len is how many calls there are.
	Len() int

	// Args are the encoded arguments of the calls from one number up to another, without that.
	Args(from, to int) []byte

	// Out points to room for the result of a call: a *Out. Only the party that is about to say Resolve may write there.
	Out(n int) any

	// Hold tells the chunk which executor answers for it now. It reports false if it was cancelled: all calls are settled.
	Hold(Holder) bool

	// Cancelled is why calls that have not started must not start any more; nil while they may.
	Cancelled() error

	// Resolve settles a call with what is in Out, Reject with err. They report false if it was settled already.
	Resolve(n int) bool
	Reject(n int, err error) bool

	sealed()
}

const (
	// chunkBytes is how many bytes of arguments make a chunk full.
	chunkBytes = 64 << 10

	// chunkWait is how long a chunk may wait for more calls, unless the user has chosen its size.
	chunkWait = 100 * time.Microsecond
)

// chunk implements [Chunk]. The Map that made it adds calls, and takes their outcomes.
type chunk[In, Out any] struct {
	fn   Func[In, Out]
	ctx  context.Context
	set  *mapSettings
	size int // of a full one

	wanted atomic.Int64  // the call that its Map waits for; -1 if none
	wake   chan struct{} // holds a token once that is settled
	inbox  *inbox        // told of each that is settled; nil for none
	base   int           // index of the first call in the inbox

	mu        sync.Mutex
	full      bool // no more calls are added
	submitted bool
	handOver  sync.Once   // to the executor
	overdue   *time.Timer // submits it; nil if it is not to wait, or for as long as need be
	holder    Holder
	cancelled error
	unwatch   func() bool
	args      []byte
	ends      []int // where each argument ends in args
	outcomes  []outcome[Out]

	errsMu sync.Mutex
	errs   []error // of those that were rejected; nil if none was
}

// outcome is small: there is one for each item.
type outcome[Out any] struct {
	state atomic.Uint32
	value Out
}

// The state of an outcome.
const (
	unsettled = iota
	settling  // by whoever has made it so
	resolved
	rejected
)

func newChunk[In, Out any](ctx context.Context, fn Func[In, Out], set *mapSettings, size int, in *inbox, base int) *chunk[In, Out] {
	c := &chunk[In, Out]{fn: fn, ctx: ctx, set: set, size: size, wake: make(chan struct{}, 1), inbox: in, base: base}
	c.wanted.Store(-1)
	c.outcomes = make([]outcome[Out], 0, c.size) // never moves: see Out
	c.ends = make([]int, 0, c.size)
	if ctx.Done() != nil {
		c.unwatch = context.AfterFunc(ctx, func() { c.giveUp(context.Cause(ctx)) })
	}
	return c
}

// add adds a call with an encoded argument. It reports whether it did, which it does not if the chunk was full, and whether the
// chunk is full now.
func (c *chunk[In, Out]) add(arg []byte) (added, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full {
		return false, true
	}
	c.args = append(c.args, arg...)
	c.ends = append(c.ends, len(c.args))
	c.outcomes = c.outcomes[:len(c.ends)]
	c.full = len(c.ends) == c.size || len(c.args) >= chunkBytes && c.set.chunksize == 0
	return true, c.full
}

func (c *chunk[In, Out]) Func() Callable           { return c.fn }
func (c *chunk[In, Out]) Context() context.Context { return c.ctx }
func (c *chunk[In, Out]) Timeout() time.Duration   { return c.set.call.timeout }
func (c *chunk[In, Out]) Retries() int             { return c.set.call.retries }
func (c *chunk[In, Out]) Whole() bool              { return c.set.chunksize > 0 }
func (c *chunk[In, Out]) Out(n int) any            { return &c.outcomes[n].value }
func (c *chunk[In, Out]) sealed()                  {}

func (c *chunk[In, Out]) Len() int { return len(c.outcomes) }

func (c *chunk[In, Out]) Args(from, to int) []byte {
	begin := 0
	if from > 0 {
		begin = c.ends[from-1]
	}
	return c.args[begin:c.ends[to-1]]
}

func (c *chunk[In, Out]) Hold(h Holder) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancelled != nil {
		for n := range c.outcomes {
			c.Reject(n, c.cancelled)
		}
		return false
	}
	c.holder = h
	return true
}

func (c *chunk[In, Out]) Cancelled() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancelled == nil && c.ctx.Err() != nil { // word of which is on its way to giveUp
		c.cancelled = &cancelledError{context.Cause(c.ctx)}
	}
	return c.cancelled
}

func (c *chunk[In, Out]) Resolve(n int) bool {
	if !c.outcomes[n].state.CompareAndSwap(unsettled, resolved) {
		return false
	}
	c.tell(n)
	return true
}

func (c *chunk[In, Out]) Reject(n int, err error) bool {
	o := &c.outcomes[n]
	if !o.state.CompareAndSwap(unsettled, settling) {
		return false
	}
	if err == nil {
		err = errNilReject
	}
	c.errsMu.Lock()
	if c.errs == nil {
		c.errs = make([]error, cap(c.outcomes))
	}
	c.errs[n] = err
	c.errsMu.Unlock()
	o.state.Store(rejected)
	c.tell(n)
	return true
}

// tell says that a call is settled now.
func (c *chunk[In, Out]) tell(n int) {
	if c.inbox != nil {
		c.inbox.tell(c.base + n)
	}
	if c.wanted.Load() == int64(n) && c.wanted.CompareAndSwap(int64(n), -1) {
		c.wake <- struct{}{} // there is room: one waits at most, and for one call
	}
}

// stop cancels what has not started, because of why, and lets no more calls be added.
func (c *chunk[In, Out]) stop(why error) Holder {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = true
	if c.cancelled == nil {
		c.cancelled = why
	}
	return c.holder
}

// giveUp is what happens when the ctx of the Map is done.
func (c *chunk[In, Out]) giveUp(cause error) {
	if h := c.stop(&cancelledError{cause}); h != nil {
		h.Cancelled()
		h.Interrupt(cause)
	}
}

// The rest is what the Map does with it.

// submit hands it over, once; when it returns that has been done, whoever did it.
func (c *chunk[In, Out]) submit(ex Chunker) {
	c.mu.Lock()
	c.submitted, c.full = true, true
	if c.overdue != nil {
		c.overdue.Stop()
	}
	c.mu.Unlock()
	c.handOver.Do(func() { ex.SubmitChunk(c) })
}

// submitSoon hands it over before long, if nobody does earlier: the inputs may take their time.
func (c *chunk[In, Out]) submitSoon(ex Chunker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.overdue = time.AfterFunc(chunkWait, func() { c.submit(ex) })
}

// kept reports whether it was not submitted yet.
func (c *chunk[In, Out]) kept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.submitted
}

func (c *chunk[In, Out]) len() int { return len(c.outcomes) }

func (c *chunk[In, Out]) isSettled(n int) bool { return c.outcomes[n].state.Load() >= resolved }

// wait waits until call n is settled: bounded by the call's ctx and the executor's own promise to settle.
func (c *chunk[In, Out]) wait(n int) {
	c.wanted.Store(int64(n))
	if c.isSettled(n) && c.wanted.CompareAndSwap(int64(n), -1) {
		return
	}
	<-c.wake
}

// failure is the error of call n, which is settled.
func (c *chunk[In, Out]) failure(n int) error {
	if c.outcomes[n].state.Load() != rejected {
		return nil
	}
	c.errsMu.Lock()
	defer c.errsMu.Unlock()
	return c.errs[n]
}

// outcome is what became of call n, which is settled. The chunk forgets it.
func (c *chunk[In, Out]) outcome(n int) (Out, error) {
	var zero Out
	if err := c.failure(n); err != nil {
		return zero, err
	}
	o := &c.outcomes[n]
	value := o.value
	o.value = zero
	return value, nil
}

// cancel gives up what has not started.
func (c *chunk[In, Out]) cancel() {
	c.mu.Lock()
	if c.overdue != nil {
		c.overdue.Stop()
	}
	c.mu.Unlock()
	if h := c.stop(ErrCancelled); h != nil {
		h.Cancelled()
	}
	c.release()
}

// release is called when every call was yielded, or the Map is over.
func (c *chunk[In, Out]) release() {
	if c.unwatch != nil {
		c.unwatch()
	}
}
