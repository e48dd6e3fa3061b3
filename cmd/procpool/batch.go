package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A batch runs a function of a worker on every line of its input and writes a line for each, in the same order.
//
//	input ─▶ read ── lines ─▶ feed ── items, oldest first ─▶ run ─▶ output
//	                            └─▶ pool ── futures ──────────┘
//
// read may wait for input for ever and is then left to the end of the program; feed ends with the input or with stop, and
// run once it has seen all that feed began. At most ahead items and budget bytes of input are between feed and run.
type batch struct {
	pool     *procpool.ProcessPoolExecutor
	function futures.Func[any, any]
	options  []futures.CallOption
	chunk    int // lines that go to one worker together; 1: the pool decides by itself
	ahead    int // items that may have begun before the oldest is written
	input    io.Reader
	output   io.Writer
	progress *progress

	stopping context.Context // done: no more input is taken
	stop     context.CancelFunc
	killed   func() bool // whether the workers were killed on the user's behalf
	tally    tally
}

// budget bounds the input that has been read and whose output has not been written, but for a single longer line.
const budget = 64 << 20

// A tally is what became of a batch.
type tally struct {
	items    int // lines taken
	failed   int
	notDone  int // lines taken, but called off
	firstOff int // index of the first line that was not done, whether it was taken or not
	ended    bool
	groups   map[string]*failures
	broken   error // why the pool was broken
	signal   int   // exit code for the signal that interrupted it; 0 if none did
	readErr  error
	writeErr error
}

// failures are those of one group.
type failures struct {
	name  string
	count int
	first int // index
	text  string
}

// An item is a line that was taken.
type item struct {
	index  int
	weight int64
	failed *failure // the line was no argument
	call   pending
}

// pending is a call whose outcome is yet to come.
type pending interface {
	ready() bool // whether outcome returns at once
	outcome() (any, error)
}

// run does the whole batch. It returns the pool's calls all settled.
func (b *batch) run() {
	b.tally.groups = map[string]*failures{}
	lines := make(chan line, 64)
	var readErr error // set before lines is closed
	go func() {       // ends with the input, or once nobody takes lines; else it waits for input until the program ends
		defer close(lines)
		readErr = readLines(b.input, func(l line) bool {
			select {
			case lines <- l:
				return true
			case <-b.stopping.Done():
				return false
			}
		})
	}()
	items := make(chan item, b.ahead)
	room := semaphore.NewWeighted(budget)
	taken := 0
	go func() { // ends before run, which drains items
		defer close(items)
		var ended bool
		if taken, ended = b.feed(lines, items, room); ended {
			b.tally.readErr, b.tally.ended = readErr, readErr == nil
		}
	}()
	b.write(items, room)
	b.tally.items = taken
	if b.tally.notDone == 0 {
		b.tally.firstOff = taken
	}
}

// feed makes items of lines until there are no more, or the batch stops. It returns how many, and whether that was all.
func (b *batch) feed(lines <-chan line, items chan<- item, room *semaphore.Weighted) (taken int, ended bool) {
	var group []item // of one chunk, not begun
	var args []any
	flush := func() {
		calls := b.begin(args)
		for i, it := range group {
			if it.failed == nil {
				it.call, calls = calls[0], calls[1:]
			}
			items <- it
			group[i] = item{}
		}
		taken += len(group)
		group, args = group[:0], nil
	}
	for {
		var l line
		var more bool
		select {
		case l, more = <-lines:
		case <-b.stopping.Done():
		}
		if b.stopping.Err() != nil {
			return taken, false
		}
		if !more {
			flush()
			return taken, true
		}
		it := item{index: l.index, weight: min(int64(len(l.text)), budget)}
		if !room.TryAcquire(it.weight) {
			flush() // what the room is waiting for may be in here
			if room.Acquire(b.stopping, it.weight) != nil {
				return taken, false
			}
		}
		err := l.err
		if err == nil {
			var arg any
			if arg, err = parseArgument(l.text); err == nil {
				args = append(args, arg)
			}
		}
		if err != nil {
			it.failed = &failure{Kind: badInput, Message: fmt.Sprintf("line %d is no argument: %v", l.index+1, err)}
		}
		if group = append(group, it); len(group) >= b.chunk {
			flush()
		}
	}
}

// begin submits the calls of one chunk.
func (b *batch) begin(args []any) []pending {
	if b.chunk == 1 && len(args) == 1 {
		return []pending{single{futures.Submit(context.Background(), b.pool, b.function, args[0], b.options...)}}
	}
	c := newChunk(len(args))
	options := []futures.MapOption{futures.Chunksize(max(1, len(args)))}
	for _, o := range b.options {
		options = append(options, o)
	}
	go c.settle(futures.Map(context.Background(), b.pool, b.function, slices.Values(args), options...)) // ends with its calls, all of which run awaits
	calls := make([]pending, len(args))
	for i := range calls {
		calls[i] = c.call(i)
	}
	return calls
}

// write writes the outcome of every item.
func (b *batch) write(items <-chan item, room *semaphore.Weighted) {
	out := bufio.NewWriterSize(b.output, 64<<10)
	fail := func(err error) {
		if err != nil && b.tally.writeErr == nil {
			b.tally.writeErr = err
			b.stop()
			b.pool.KillWorkers() // nobody is there to see what they find out
		}
	}
	var text bytes.Buffer
	for {
		var it item
		var more bool
		select {
		case it, more = <-items:
		default:
			fail(out.Flush()) // whoever reads the output shall not wait for the next input
			it, more = <-items
		}
		if !more {
			break
		}
		if it.call != nil && !it.call.ready() {
			fail(out.Flush())
		}
		text.Reset()
		b.settle(it, &text)
		if b.tally.writeErr == nil {
			_, err := out.Write(text.Bytes())
			fail(err)
		}
		if text.Cap() > 1<<20 {
			text = bytes.Buffer{}
		}
		room.Release(it.weight)
	}
	fail(out.Flush())
}

// settle waits for the outcome of an item and appends its line. One that was called off gets none.
func (b *batch) settle(it item, text *bytes.Buffer) {
	f := it.failed
	var failedWith error
	if f == nil {
		value, err := it.call.outcome()
		if err == nil {
			if err = appendResult(text, it.index, value); err == nil {
				b.progress.done()
				return
			}
			f = &failure{Kind: badValue, Message: "the result: " + err.Error()}
		} else {
			sorted := failureOf(err)
			f, failedWith = &sorted, err
		}
	}
	if f.Kind == notDone || f.Kind == broken && b.killed() {
		if b.tally.notDone++; b.tally.notDone == 1 {
			b.tally.firstOff = it.index
		}
		return
	}
	if f.Kind == broken && b.tally.broken == nil {
		b.tally.broken = failedWith
		b.stop()
	}
	b.fail(it.index, *f)
	_ = appendFailure(text, it.index, *f) // cannot fail
}

func (b *batch) fail(index int, f failure) {
	b.tally.failed++
	name := f.group()
	g := b.tally.groups[name]
	if g == nil {
		g = &failures{name: name, first: index, text: brief(f.Message)}
		b.tally.groups[name] = g
	}
	g.count++
	b.progress.failed()
}

// single is a call submitted by itself.
type single struct{ future *futures.Future[any] }

func (s single) ready() bool {
	select {
	case <-s.future.Done():
		return true
	default:
		return false
	}
}

func (s single) outcome() (any, error) { return s.future.Result(context.Background()) }

// A chunk is a number of calls that were handed to the pool together.
type chunk struct {
	mu      sync.Mutex
	changed sync.Cond
	values  []any
	errs    []error
	settled int
}

func newChunk(n int) *chunk {
	c := &chunk{values: make([]any, n), errs: make([]error, n)}
	c.changed.L = &c.mu
	return c
}

// settle takes over the outcomes. A sequence that ends early, since the pool takes no more calls, gives the rest its last
// error.
func (c *chunk) settle(outcomes func(yield func(any, error) bool)) {
	last := errors.New("the chunk was not begun")
	for value, err := range outcomes {
		c.mu.Lock()
		if c.settled < len(c.values) {
			c.values[c.settled], c.errs[c.settled] = value, err
			c.settled++
		}
		c.mu.Unlock()
		c.changed.Broadcast()
		if err != nil {
			last = err
		}
	}
	c.mu.Lock()
	for ; c.settled < len(c.values); c.settled++ {
		c.errs[c.settled] = last
	}
	c.mu.Unlock()
	c.changed.Broadcast()
}

func (c *chunk) call(i int) pending { return chunked{c, i} }

// chunked is one call of a chunk.
type chunked struct {
	chunk *chunk
	i     int
}

func (c chunked) ready() bool {
	c.chunk.mu.Lock()
	defer c.chunk.mu.Unlock()
	return c.i < c.chunk.settled
}

func (c chunked) outcome() (any, error) {
	c.chunk.mu.Lock()
	defer c.chunk.mu.Unlock()
	for c.i >= c.chunk.settled {
		c.chunk.changed.Wait()
	}
	value, err := c.chunk.values[c.i], c.chunk.errs[c.i]
	c.chunk.values[c.i] = nil
	return value, err
}
