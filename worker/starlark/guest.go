package starlark

import (
	"context"

	"go.starlark.net/starlark"

	"github.com/seed7d1be1d5/concurrent/worker"
)

// checkpoint returns why ctx is done, or nil.
func checkpoint(ctx context.Context) error { return worker.Checkpoint(ctx) }

// asQueue is the queue whose handle v is; nil if it is none.
var asQueue = func(v any) queue { return nil }

// isUnbound reports whether v stands for an item whose interpreter is gone.
var isUnbound = func(v any) bool { return false }

// fromQueueing makes a value of what has to do with queues; nil of all else.
func fromQueueing(v any) starlark.Value {
	if q := asQueue(v); q != nil {
		return queueValue{q, v}
	}
	if isUnbound(v) {
		return unbound{}
	}
	return nil
}
