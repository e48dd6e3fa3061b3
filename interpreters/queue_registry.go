package interpreters

import (
	"sync"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// queues holds every queue that is not closed. Ids begin with 1 and are never used again.
var queues = struct {
	sync.RWMutex
	byID map[int64]*Queue
	last int64
}{byID: map[int64]*Queue{}}

// CreateQueue makes a queue for at most maxsize items; zero or less means that there is no bound (Q1). It lives until Close.
func CreateQueue(maxsize int, opts ...QueueOption) *Queue {
	settings := collectQueueOptions(Unbound, opts)
	queues.Lock()
	defer queues.Unlock()
	queues.last++
	q := &Queue{id: queues.last, maxsize: maxsize, unbound: settings.unbound, ports: map[*queuePort]struct{}{}}
	queues.byID[q.id] = q
	return q
}

// LookupQueue finds a queue by its id. There is one *Queue for an id, so it is the one that [CreateQueue] returned (Q3). The error
// is [ErrQueueNotFound].
func LookupQueue(id int64) (*Queue, error) {
	queues.RLock()
	defer queues.RUnlock()
	if q := queues.byID[id]; q != nil {
		return q, nil
	}
	return nil, &queueError{kind: ErrQueueNotFound, id: id}
}

func forgetQueue(id int64) {
	queues.Lock()
	defer queues.Unlock()
	delete(queues.byID, id)
}

// A *Queue in a value, wherever it is in there, travels as its id and arrives as the same *Queue.
func init() {
	ipc.RegisterQueue(func(q *Queue) (int64, error) {
		_, err := LookupQueue(q.id)
		return q.id, err
	}, LookupQueue)
}
