package futures

import (
	"context"
	"errors"
	"iter"
)

// Map calls fn on every input and yields the results in input order. An item that fails yields its error in its place,
// and the rest goes on.
//
// Nothing happens until the sequence is ranged over, in which case inputs are taken a bounded number ahead ([Buffersize]),
// so an endless sequence of inputs works. A result whose turn it is and that is ready is yielded before the next input is
// asked for; one that becomes ready while inputs blocks has to wait for it. Breaking out of the loop cancels what has not
// started; so does a panic in the loop's body or in inputs. Each range starts over.
//
// ctx bounds every call of the Map, as in [Submit]. Once it is done no more inputs are taken, and those already taken yield
// their outcome, so a truncated Map ends with an error, never silently. An executor that refuses further calls ends it in
// the same way. A wrong option yields one error.
func Map[In, Out any](ctx context.Context, ex Executor, fn Func[In, Out], inputs iter.Seq[In], opts ...MapOption) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var zero Out
		set, err := collectMap(opts)
		if err == nil && inputs == nil {
			err = errors.New("futures: Map: inputs is nil")
		}
		if err != nil {
			yield(zero, err)
			return
		}
		m := newFeeder(ctx, ex, fn, &set, nil)
		defer m.close()
		at, outstanding := 0, 0 // the next to be yielded is number at of the oldest lot
		next := func() bool {
			l := m.lots[0]
			if !l.isSettled(at) {
				if l == lot[Out](m.open) {
					m.flush()
				}
				l.wait(at)
			}
			value, err := l.outcome(at)
			outstanding--
			if at++; at == l.len() {
				m.forget(l)
				at = 0
			}
			return yield(value, err)
		}
		for in := range inputs {
			m.take(in)
			outstanding++
			for outstanding > set.buffersize || outstanding > 0 && m.lots[0].isSettled(at) {
				if !next() {
					return
				}
			}
			if m.refused {
				break
			}
		}
		m.flush()
		for outstanding > 0 {
			if !next() {
				return
			}
		}
	}
}

// An Item is one input of a [MapUnordered] together with what became of it.
type Item[In, Out any] struct {
	Index int // position of the input, from 0
	In    In
	Out   Out
}

// MapUnordered is [Map] in completion order: whichever item is done first comes first, with its index and its input.
func MapUnordered[In, Out any](ctx context.Context, ex Executor, fn Func[In, Out], inputs iter.Seq[In], opts ...MapOption) iter.Seq2[Item[In, Out], error] {
	return func(yield func(Item[In, Out], error) bool) {
		set, err := collectMap(opts)
		if err == nil && inputs == nil {
			err = errors.New("futures: MapUnordered: inputs is nil")
		}
		if err != nil {
			yield(Item[In, Out]{Index: -1}, err)
			return
		}
		type entry struct {
			lot lot[Out]
			n   int
			in  In
		}
		settled := newInbox()
		m := newFeeder(ctx, ex, fn, &set, settled)
		defer m.close()
		outstanding := make(map[int]entry)
		left := make(map[lot[Out]]int) // how many of a lot are outstanding
		var ready []int
		// deliver yields what is settled until at most limit calls are outstanding.
		deliver := func(limit int) bool {
			for {
				ready = settled.take(ready)
				for _, index := range ready {
					e := outstanding[index]
					delete(outstanding, index)
					value, err := e.lot.outcome(e.n)
					if left[e.lot]--; left[e.lot] == 0 {
						delete(left, e.lot)
						m.forget(e.lot)
					}
					if !yield(Item[In, Out]{index, e.in, value}, err) {
						return false
					}
				}
				if len(outstanding) <= limit {
					return true
				}
				if m.kept() >= len(outstanding) { // none has been submitted yet
					m.flush()
				}
				<-settled.wake // bounded like the calls it tells of
			}
		}
		index := 0
		for in := range inputs {
			l, n := m.take(in)
			outstanding[index] = entry{l, n, in}
			left[l]++
			if c, ok := l.(*call[In, Out]); ok {
				c.future.await(waiter{settled, index})
			}
			index++
			if !deliver(set.buffersize) {
				return
			}
			if m.refused {
				break
			}
		}
		m.flush()
		deliver(0)
	}
}

// A lot is what a Map waits for: a call, or a chunk of them, numbered from 0.
type lot[Out any] interface {
	len() int
	isSettled(n int) bool
	wait(n int)
	outcome(n int) (Out, error) // of one that is settled; it is asked once
	cancel()                    // gives up what has not started
	release()                   // after the last outcome
}

// feeder submits the inputs of one Map.
type feeder[In, Out any] struct {
	ctx     context.Context
	ex      Executor
	chunker Chunker // nil if ex does not take chunks
	fn      Func[In, Out]
	set     *mapSettings
	inbox   *inbox          // told of every call of a chunk that is settled; nil for none
	taken   int             // inputs
	in      In              // the latest, where EncodeArg sees it
	arg     []byte          // it encoded
	open    *chunk[In, Out] // to which the next call may be added
	lots    []lot[Out]      // those not forgotten, oldest first
	refused bool            // the executor or the ctx takes no more: no input after this one can run
}

func newFeeder[In, Out any](ctx context.Context, ex Executor, fn Func[In, Out], set *mapSettings, in *inbox) *feeder[In, Out] {
	m := &feeder[In, Out]{ctx: ctx, ex: ex, fn: fn, set: set, inbox: in}
	if chunker, ok := ex.(Chunker); ok && check(ctx, ex, fn, &set.call) == nil && chunker.ChunkSize(fn) > 0 {
		m.chunker = chunker
	}
	return m
}

// take makes the call for one input, and says which of which lot it is. A lot is submitted when it is full; or, unless
// the user chose its size, when the next input is long in coming.
func (m *feeder[In, Out]) take(in In) (lot[Out], int) {
	m.taken++
	if m.chunker == nil || m.ctx.Err() != nil {
		return m.alone(in, nil), 0
	}
	var err error
	m.in = in
	if m.arg, err = m.chunker.EncodeArg(m.arg[:0], m.fn, &m.in); err != nil {
		return m.alone(in, err), 0
	}
	c := m.open
	var added, full bool
	if c != nil {
		added, full = c.add(m.arg)
	}
	if !added {
		m.flush()
		c = newChunk(m.ctx, m.fn, m.set, m.size(), m.inbox, m.taken-1)
		if added, full = c.add(m.arg); !added { // the ctx was done in this very moment
			c.release()
			return m.alone(in, nil), 0
		}
		m.lots = append(m.lots, c)
		if m.open = c; m.set.chunksize == 0 && !full {
			c.submitSoon(m.chunker)
		}
	}
	if full {
		m.flush()
	}
	if cap(m.arg) > chunkBytes {
		m.arg = nil
	}
	return c, c.len() - 1
}

// size is that of the next chunk.
func (m *feeder[In, Out]) size() int {
	if m.set.chunksize > 0 {
		size := min(m.set.chunksize, mostInChunk)
		if m.set.buffersize < size {
			size = m.set.buffersize + 1 // no more are taken while one is awaited
		}
		return size
	}
	size := max(m.chunker.ChunkSize(m.fn), 1)
	if !m.set.ahead {
		m.set.buffersize = max(defaultBuffersize, 16*size)
	}
	return max(1, min(size, m.set.buffersize/4))
}

// alone makes a call that is in no chunk. If err is not nil it is settled with that.
func (m *feeder[In, Out]) alone(in In, err error) lot[Out] {
	m.flush() // what comes before it goes before it
	c := newCall(m.ctx, m.fn, in, &m.set.call)
	m.lots = append(m.lots, c)
	switch {
	case err != nil:
		c.Reject(err)
	case c.admit(m.ex):
		m.ex.Submit(c)
		m.refused = refuses(c)
	default:
		m.refused = true
	}
	return c
}

// flush submits what there is of a chunk.
func (m *feeder[In, Out]) flush() {
	if c := m.open; c != nil {
		m.open = nil
		c.submit(m.chunker)
		m.refused = refuses(c)
	}
}

// kept is how many calls have not been submitted.
func (m *feeder[In, Out]) kept() int {
	if m.open == nil || !m.open.kept() {
		return 0
	}
	return m.open.len()
}

// forget is called when the last outcome of a lot was taken.
func (m *feeder[In, Out]) forget(l lot[Out]) {
	l.release()
	if c, ok := l.(*chunk[In, Out]); ok && c == m.open {
		m.open = nil // it was submitted: it waited long enough
	}
	for i, v := range m.lots { // as a rule the first
		if v == l {
			copy(m.lots[1:i+1], m.lots[:i])
			m.lots[0] = nil
			m.lots = m.lots[1:]
			return
		}
	}
}

// close gives up what has not started, when the Map is over before its inputs.
func (m *feeder[In, Out]) close() {
	for _, l := range m.lots {
		l.cancel()
	}
}

// refuses reports whether the first call of a lot failed for a reason that the next one would share. A function of the user
// that failed with the same words is not one.
func refuses(l interface {
	isSettled(n int) bool
	failure(n int) error
}) bool {
	if !l.isSettled(0) {
		return false
	}
	err := l.failure(0)
	var task *TaskError
	return !errors.As(err, &task) && (errors.Is(err, ErrShutdown) || errors.Is(err, ErrBrokenExecutor))
}

// A call is a lot of one.

func (c *call[In, Out]) len() int                 { return 1 }
func (c *call[In, Out]) isSettled(int) bool       { return c.future.isSettled() }
func (c *call[In, Out]) failure(int) error        { return c.future.err }
func (c *call[In, Out]) wait(int)                 { <-c.future.Done() } // bounded by the call's ctx and the executor's own promise to settle
func (c *call[In, Out]) outcome(int) (Out, error) { return c.future.Result(context.Background()) }
func (c *call[In, Out]) cancel()                  { c.future.Cancel() }
func (c *call[In, Out]) release()                 {}
