package procpool

import (
	"github.com/seed7d1be1d5/concurrent/futures"
)

// span is the calls of a chunk that a task stands for: those from one number up to another, without that. It belongs to the
// pool's state.
type span struct {
	chunk    futures.Chunk
	from, to int
}

// live reports whether its calls may start.
func (v *span) live() bool { return v.chunk.Cancelled() == nil }

func (v *span) cancel() {
	why := v.chunk.Cancelled()
	if why == nil {
		why = futures.ErrCancelled
	}
	for n := v.from; n < v.to; n++ {
		v.chunk.Reject(n, why)
	}
}

// size is how many calls the task stands for.
func (t *task) size() int {
	if t.span == nil {
		return 1
	}
	return t.span.to - t.span.from
}

// first is the number of its first call.
func (t *task) first() int {
	if t.span == nil {
		return 0
	}
	return t.span.from
}

// whole reports whether its calls should go to one worker together.
func (t *task) whole() bool { return t.span != nil && t.span.chunk.Whole() }

// hands is how many workers could have a part of it.
func (t *task) hands() int {
	if t.whole() {
		return 1
	}
	return t.size()
}

// with reports whether two tasks are of one chunk.
func (t *task) with(other *task) bool {
	return t != nil && (t == other || t.span != nil && other != nil && other.span != nil && t.span.chunk == other.span.chunk)
}

// bytes is how long its arguments are.
func (t *task) bytes() int {
	if t.span == nil {
		return len(t.arg)
	}
	return len(t.span.chunk.Args(t.span.from, t.span.to))
}

// split cuts off all but the first n calls.
func (t *task) split(n int) (rest *task) {
	rest = t.part(t.span.from+n, t.span.to)
	t.span.to = t.span.from + n
	return rest
}

// part makes a task of some of its calls.
func (t *task) part(from, to int) *task {
	return &task{
		fn: t.fn, span: &span{t.span.chunk, from, to},
		recalls: t.recalls, frozen: t.frozen, attempt: t.attempt, retries: t.retries, again: t.again,
	}
}

// only is its call n, counted from the first.
func (t *task) only(n int) *task {
	if t.size() == 1 {
		return t
	}
	return t.part(t.first()+n, t.first()+n+1)
}

// frameBytes is how many bytes of arguments travel as one chunk, unless it is one call.
const frameBytes = 1 << 20

// fits is how many of its calls travel in one frame.
func (t *task) fits() int {
	n := t.size()
	for n > 1 && len(t.span.chunk.Args(t.span.from, t.span.from+n)) > frameBytes {
		n /= 2
	}
	return n
}
