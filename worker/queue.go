package worker

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"weak"

	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// A Queue is a queue of package interpreters as a Func sees it, wherever the Func runs: a *Queue in an argument, a result or an item of another
// queue is the same queue on the other side. It is the handle that [QueueOf] makes of an *interpreters.Queue, which does not exist
// inside an interpreter; outside of them a queue in an any is decoded as that. There is one *Queue for an id in a program (row Q3). Its methods may be called by any number of goroutines.
//
// While one goroutine of an interpreter waits, the others run; a wait ends with its ctx, and loses no item. The errors are those of an
// *interpreters.Queue, and match the same sentinels.
type Queue struct {
	id int64
	_  *byte // so that it is not allocated together with others, and lives on with them
}

// handles are those that somebody has, by id. A program may see any number of queues, one for each answer it waits for, say.
var handles = struct {
	sync.Mutex
	byID map[int64]weak.Pointer[Queue]
}{byID: map[int64]weak.Pointer[Queue]{}}

func handle(id int64) *Queue {
	handles.Lock()
	defer handles.Unlock()
	if q := handles.byID[id].Value(); q != nil {
		return q
	}
	q := &Queue{id: id}
	handles.byID[id] = weak.Make(q)
	runtime.AddCleanup(q, forgetHandle, id)
	return q
}

// forgetHandle is called when nobody has the handle any more, and there may be another one since.
func forgetHandle(id int64) {
	handles.Lock()
	defer handles.Unlock()
	if handles.byID[id].Value() == nil {
		delete(handles.byID, id)
	}
}

// QueueOf is the handle of a queue: what a Func takes that is to use q.
func QueueOf(q interface{ ID() int64 }) *Queue { return handle(q.ID()) }

// ID is the queue's number, the same in every interpreter.
func (q *Queue) ID() int64 { return q.id }

// String is the queue as Python shows it: Queue(1) (row Q4).
func (q *Queue) String() string { return fmt.Sprintf("Queue(%d)", q.id) }

// An UnboundItem says what becomes of an item whose interpreter is gone.
type UnboundItem = abi.UnboundItem

// See the constants of package interpreters. Unbound is also what a Get finds instead of such an item, in a variable of type any or UnboundItem.
const (
	Unbound       = abi.Unbound
	UnboundError  = abi.UnboundError
	UnboundRemove = abi.UnboundRemove
)

// A PutOption changes one put.
type PutOption func(*putSettings)

type putSettings struct{ unbound *UnboundItem }

// UnboundItems sets what becomes of the item when this interpreter is gone. Without it that is as the queue was created (row Q11).
func UnboundItems(u UnboundItem) PutOption {
	if !u.Valid() {
		panic(fmt.Sprintf("worker.UnboundItems: %v", u))
	}
	return func(s *putSettings) { s.unbound = &u }
}

func collectPut(opts []PutOption) (s putSettings) {
	for _, opt := range opts {
		opt(&s)
	}
	return s
}

// Put puts a copy of v into the queue, and waits for room as long as ctx lets it. The error matches ErrQueueFull and the cause of ctx if that
// was done first (row Q6).
func (q *Queue) Put(ctx context.Context, v any, opts ...PutOption) error {
	return q.put(ctx, true, v, collectPut(opts).unbound)
}

// PutNoWait is Put for who does not wait.
func (q *Queue) PutNoWait(v any, opts ...PutOption) error {
	return q.put(context.Background(), false, v, collectPut(opts).unbound)
}

// Get takes the first item out of the queue and decodes it into what into points to, and waits for one as long as ctx lets it. The error matches
// ErrQueueEmpty and the cause of ctx if that was done first (row Q7).
func (q *Queue) Get(ctx context.Context, into any) error { return q.get(ctx, true, into) }

// GetNoWait is Get for who does not wait.
func (q *Queue) GetNoWait(into any) error { return q.get(context.Background(), false, into) }

// QSize is how many items are in the queue: none if it was closed (row Q5).
func (q *Queue) QSize() int {
	size, _ := q.info()
	return size
}

// MaxSize is how many items the queue may hold; zero or less means any number, and so it is if the queue was closed.
func (q *Queue) MaxSize() int {
	_, maxsize := q.info()
	return maxsize
}

// Empty reports whether QSize is zero.
func (q *Queue) Empty() bool { return q.QSize() == 0 }

// Full reports whether there are MaxSize items in the queue.
func (q *Queue) Full() bool {
	size, maxsize := q.info()
	return maxsize > 0 && size >= maxsize
}
