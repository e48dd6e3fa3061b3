package abi

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A LocalQueue is a queue of package interpreters for package worker in the same program: they do not import each other.
type LocalQueue interface {
	Put(ctx context.Context, v any, unbound *UnboundItem) error
	PutNoWait(v any, unbound *UnboundItem) error
	Get(ctx context.Context, into any) error
	GetNoWait(into any) error
	QSize() int
	MaxSize() int
}

var localQueues struct {
	sync.Mutex
	find func(id int64) (LocalQueue, error)
}

// RegisterLocalQueues says where queues are found. It belongs into an init function.
func RegisterLocalQueues(find func(id int64) (LocalQueue, error)) {
	localQueues.Lock()
	defer localQueues.Unlock()
	localQueues.find = find
}

// FindLocalQueue finds a queue of this program. The error matches ipc.ErrQueueNotFound.
func FindLocalQueue(id int64) (LocalQueue, error) {
	localQueues.Lock()
	find := localQueues.find
	localQueues.Unlock()
	if find == nil {
		return nil, fmt.Errorf("%w (queue %d): %w", ipc.ErrQueueNotFound, id, errors.New("this program has none"))
	}
	return find(id)
}
