package interpreters

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A Queue hands values from one interpreter to another, first in, first out. This program is one of them, the main interpreter;
// others get at a queue by its handle in an argument, in what PrepareMain binds, or in an item of another queue. Its methods may be
// called by any number of goroutines (Q2).
//
// A value is copied when it is put, also within this program (Q9): what it is made of may be changed afterwards, and what is got shares
// nothing with it. It travels as an argument of a [futures.Func] does, and what cannot is refused by the put. The exception is a *Queue: it
// arrives as the same *Queue (Q3).
//
// Put and Get wait as long as their ctx lets them, without looking again from time to time. Who waits is served in the order of coming. Who
// comes while there is something to get, or room, does not wait.
//
// A queue lives until Close. From then on every operation fails with [ErrQueueNotFound] (Q13). A queue that is left over does no
// harm: it is memory and nothing else (Q14).
type Queue struct {
	id      int64
	maxsize int
	unbound UnboundItem

	mu      sync.Mutex // nothing of others is called under it but the ring of a port
	closed  bool
	items   []item
	getters line
	putters line
	ports   map[*queuePort]struct{} // the guests that may use it
}

// ID is the queue's number: see [LookupQueue].
func (q *Queue) ID() int64 { return q.id }

// MaxSize is what was given to [CreateQueue]: zero or less means that there is no bound.
func (q *Queue) MaxSize() int { return q.maxsize }

// String is the queue as Python shows it: Queue(1) (Q4).
func (q *Queue) String() string { return fmt.Sprintf("Queue(%d)", q.id) }

// QSize is how many items are in the queue, unbound ones included; none if it was closed. It is exact, and may be out of date when it
// arrives, as Empty and Full may (Q5).
func (q *Queue) QSize() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// Empty reports whether QSize is zero.
func (q *Queue) Empty() bool { return q.QSize() == 0 }

// Full reports whether there are MaxSize items in the queue; never if there is no bound.
func (q *Queue) Full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.room() == 0
}

// Put puts a copy of v into the queue and waits for room as long as ctx lets it. If there is room at once it does not look at ctx. An error
// means that nothing was put, and matches
//
//   - [futures.ErrNotShareable] if v cannot travel,
//   - [ErrQueueFull] and the cause of ctx if that was done first (Q6),
//   - [ErrQueueNotFound] if the queue is closed.
func (q *Queue) Put(ctx context.Context, v any, opts ...QueueOption) error {
	it, err := q.newItem(v, opts)
	if err != nil {
		return err
	}
	w, err := q.put(it)
	if err != nil || w == nil {
		return err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		if q.leave(&q.putters, w) {
			return &queueError{ErrQueueFull, q.id, context.Cause(ctx)}
		}
	}
	return w.err
}

// PutNoWait is Put for who does not wait: without room the error is [ErrQueueFull].
func (q *Queue) PutNoWait(v any, opts ...QueueOption) error {
	it, err := q.newItem(v, opts)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tryPut(it)
}

// Get takes the first item out of the queue, decodes it into what into points to, and waits for an item as long as ctx lets it. If there
// is one at once it does not look at ctx. An error means that nothing was taken, with two exceptions, and matches
//
//   - [ErrQueueEmpty] and the cause of ctx if that was done first (Q7),
//   - [ErrQueueNotFound] if the queue is closed,
//   - [ErrItemInterpreterDestroyed] if the item's interpreter is gone: see [UnboundItem]. The item is taken;
//   - [futures.ErrNotShareable] if the item cannot be decoded into what into points to. It is taken as well, as in Python: left where it
//     is it would stop everybody behind. If into is no pointer at all, it is not.
//
// Into an any, a value is decoded as by a Func whose result is declared to be any: see [futures.Declare].
func (q *Queue) Get(ctx context.Context, into any) error {
	if err := checkTarget(into); err != nil {
		return err
	}
	it, w, err := q.get()
	if w != nil {
		select {
		case <-w.done:
		case <-ctx.Done():
			if q.leave(&q.getters, w) {
				return &queueError{ErrQueueEmpty, q.id, context.Cause(ctx)}
			}
		}
		it, err = w.item, w.err
	}
	if err != nil {
		return err
	}
	return q.decode(it, into)
}

// GetNoWait is Get for who does not wait: without an item the error is [ErrQueueEmpty].
func (q *Queue) GetNoWait(into any) error {
	if err := checkTarget(into); err != nil {
		return err
	}
	q.mu.Lock()
	it, err := q.tryGet()
	q.mu.Unlock()
	if err != nil {
		return err
	}
	return q.decode(it, into)
}

// GetAs is [Queue.Get] of a T.
func GetAs[T any](ctx context.Context, q *Queue) (T, error) {
	var v T
	err := q.Get(ctx, &v)
	return v, err
}

// Close ends the queue and drops its items. Who waits is told so: ErrQueueNotFound, which is the error of a second Close as well.
func (q *Queue) Close() error {
	forgetQueue(q.id)
	q.mu.Lock()
	if err := q.open(); err != nil {
		q.mu.Unlock()
		return err
	}
	q.closed = true
	for i := range q.items {
		q.items[i].drop()
	}
	q.items = nil
	for _, l := range []*line{&q.getters, &q.putters} {
		for l.waiting.Len() > 0 {
			l.next().serve(item{}, q.notFound())
		}
	}
	ports := q.ports
	q.ports = nil
	q.mu.Unlock()
	for p := range ports {
		p.forgetQueue(q.id)
	}
	return nil
}

func (q *Queue) newItem(v any, opts []QueueOption) (item, error) {
	encoded, err := ipc.AppendValue(nil, &v)
	return item{encoded: encoded, unbound: collectQueueOptions(q.unbound, opts).unbound}, err
}

// decode is the end of a get.
func (q *Queue) decode(it item, into any) error {
	if !it.gone {
		return ipc.DecodeValue(it.encoded, into)
	}
	if it.unbound == Unbound {
		switch into := into.(type) {
		case *any:
			*into = Unbound
			return nil
		case *UnboundItem:
			*into = Unbound
			return nil
		}
	}
	return &queueError{kind: ErrItemInterpreterDestroyed, id: q.id}
}

func checkTarget(into any) error {
	if v := reflect.ValueOf(into); v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("%w: cannot decode into a %T: it must be a pointer, and not nil", futures.ErrNotShareable, into)
	}
	return nil
}

// put puts it, or else lines up with it.
func (q *Queue) put(it item) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.open(); err != nil {
		return nil, err
	}
	if q.room() > 0 {
		return nil, q.tryPut(it)
	}
	w := &waiter{item: it, done: make(chan struct{})}
	q.putters.join(w)
	return w, nil
}

// get takes an item, or else lines up for one.
func (q *Queue) get() (item, *waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.open(); err != nil {
		return item{}, nil, err
	}
	if len(q.items) > 0 {
		it, err := q.tryGet()
		return it, nil, err
	}
	w := &waiter{done: make(chan struct{})}
	q.getters.join(w)
	return item{}, w, nil
}

// leave takes w out of its line. It reports false if w was served at the same moment: what it was served with counts, so that nothing is
// lost.
func (q *Queue) leave(l *line, w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.at == nil {
		return false
	}
	l.leave(w)
	return true
}

// What follows is called with mu held.

func (q *Queue) open() error {
	if q.closed {
		return q.notFound()
	}
	return nil
}

func (q *Queue) notFound() error { return &queueError{kind: ErrQueueNotFound, id: q.id} }

func (q *Queue) room() int {
	if q.maxsize <= 0 {
		return math.MaxInt
	}
	return q.maxsize - len(q.items)
}

func (q *Queue) tryPut(it item) error {
	if err := q.open(); err != nil {
		return err
	}
	if q.room() == 0 {
		return &queueError{kind: ErrQueueFull, id: q.id}
	}
	q.items = append(q.items, it)
	q.settle()
	return nil
}

func (q *Queue) tryGet() (item, error) {
	if err := q.open(); err != nil {
		return item{}, err
	}
	if len(q.items) == 0 {
		return item{}, &queueError{kind: ErrQueueEmpty, id: q.id}
	}
	it := q.pop()
	q.settle()
	return it, nil
}

func (q *Queue) pop() item {
	it := q.items[0]
	q.items[0] = item{} // what was taken is not kept
	if q.items = q.items[1:]; len(q.items) == 0 {
		q.items = nil
	}
	it.drop()
	return it
}

// settle serves whoever can be served. It is called after every change: then nobody waits for what is there and offered to nobody.
func (q *Queue) settle() {
	for {
		switch {
		case q.getters.waiting.Len() > 0 && len(q.items) > q.getters.told:
			if w := q.getters.next(); w.port == nil {
				w.serve(q.pop(), nil)
			}
		case q.putters.waiting.Len() > 0 && q.room() > q.putters.told:
			if w := q.putters.next(); w.port == nil {
				q.items = append(q.items, w.item)
				w.serve(item{}, nil)
			}
		default:
			return
		}
	}
}

// disown applies the policies to the items of a guest that is gone.
func (q *Queue) disown(p *queuePort) {
	q.items = slices.DeleteFunc(q.items, func(it item) bool { return it.owner == p && it.unbound == UnboundRemove })
	for i := range q.items {
		if it := &q.items[i]; it.owner == p {
			it.drop()
			it.encoded, it.gone = nil, true
		}
	}
	q.settle()
}
