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
		m := feeder[In, Out]{ctx: ctx, ex: ex, fn: fn, set: set}
		var window []*call[In, Out] // oldest first; all of them still to be yielded
		defer func() {
			for _, c := range window {
				c.future.Cancel()
			}
		}()
		next := func() bool {
			c := window[0]
			window[0] = nil
			window = window[1:]
			<-c.future.Done() // bounded by the call's ctx and the executor's own promise to settle
			value, err := c.future.Result(ctx)
			return yield(value, err)
		}
		for in := range inputs {
			window = append(window, m.take(in))
			for len(window) > set.buffersize || len(window) > 0 && window[0].future.isSettled() {
				if len(m.chunk) == len(window) { // the oldest has not been submitted yet
					m.flush()
				}
				if !next() {
					return
				}
			}
			if m.refused {
				break
			}
		}
		m.flush()
		for len(window) > 0 {
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
			c  *call[In, Out]
			in In
		}
		m := feeder[In, Out]{ctx: ctx, ex: ex, fn: fn, set: set}
		outstanding := make(map[int]entry)
		defer func() {
			for _, e := range outstanding {
				e.c.future.Cancel()
			}
		}()
		settled := newInbox()
		var ready []int
		// deliver yields what is settled until at most limit calls are outstanding.
		deliver := func(limit int) bool {
			for {
				ready = settled.take(ready)
				for _, index := range ready {
					e := outstanding[index]
					delete(outstanding, index)
					value, err := e.c.future.Result(ctx)
					if !yield(Item[In, Out]{index, e.in, value}, err) {
						return false
					}
				}
				if len(outstanding) <= limit {
					return true
				}
				if len(m.chunk) >= len(outstanding) { // none has been submitted yet
					m.flush()
				}
				<-settled.wake // bounded like the calls it tells of
			}
		}
		index := 0
		for in := range inputs {
			c := m.take(in)
			outstanding[index] = entry{c, in}
			c.future.await(waiter{settled, index})
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

// feeder submits the inputs of one Map, in chunks.
type feeder[In, Out any] struct {
	ctx     context.Context
	ex      Executor
	fn      Func[In, Out]
	set     mapSettings
	chunk   []Call // taken but not submitted; the latest of the calls that are still to be yielded
	refused bool   // the executor or the ctx takes no more: no input after this one can run
}

// take makes the call for one input, and submits it now or with its chunk.
func (m *feeder[In, Out]) take(in In) *call[In, Out] {
	c := newCall(m.ctx, m.fn, in, &m.set.call)
	if !c.admit(m.ex) {
		m.flush()
		m.refused = true
		return c
	}
	m.chunk = append(m.chunk, c)
	if len(m.chunk) >= m.set.chunksize {
		m.flush()
		m.refused = c.wasRefused()
	}
	return c
}

// flush submits what is left of a chunk.
func (m *feeder[In, Out]) flush() {
	if batcher, ok := m.ex.(Batcher); ok && len(m.chunk) > 0 && m.set.chunksize > 1 {
		batcher.SubmitBatch(m.chunk)
		m.chunk = nil // the executor's now
		return
	}
	for i, c := range m.chunk {
		m.ex.Submit(c)
		m.chunk[i] = nil
	}
	m.chunk = m.chunk[:0]
}

// wasRefused reports whether the call failed for a reason that the next one would share. A function of the user that
// failed with the same words is not one.
func (c *call[In, Out]) wasRefused() bool {
	if !c.future.isSettled() {
		return false
	}
	err := c.future.err
	var task *TaskError
	return !errors.As(err, &task) && (errors.Is(err, ErrShutdown) || errors.Is(err, ErrBrokenExecutor))
}
