package interpreters

import (
	"context"

	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// A localQueue is a queue for package worker in this program: a Func that runs on goroutines uses the same handle as in a guest.
type localQueue struct{ *Queue }

func (l localQueue) Put(ctx context.Context, v any, unbound *UnboundItem) error {
	return l.Queue.Put(ctx, v, unboundOption(unbound)...)
}

func (l localQueue) PutNoWait(v any, unbound *UnboundItem) error {
	return l.Queue.PutNoWait(v, unboundOption(unbound)...)
}

func unboundOption(u *UnboundItem) []QueueOption {
	if u == nil {
		return nil
	}
	return []QueueOption{UnboundItems(*u)}
}

func init() {
	abi.RegisterLocalQueues(func(id int64) (abi.LocalQueue, error) {
		q, err := LookupQueue(id)
		return localQueue{q}, err
	})
}
