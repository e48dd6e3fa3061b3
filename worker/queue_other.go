//go:build !wasip1

package worker

import (
	"context"

	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

func init() { ipc.RegisterQueueHandle((*Queue).ID, handle) }

// put does not wait without a ctx.
func (q *Queue) put(ctx context.Context, v any, unbound *UnboundItem) error {
	local, err := abi.FindLocalQueue(q.id)
	switch {
	case err != nil:
		return err
	case ctx == nil:
		return local.PutNoWait(v, unbound)
	default:
		return local.Put(ctx, v, unbound)
	}
}

// get does not wait without a ctx.
func (q *Queue) get(ctx context.Context, into any) error {
	local, err := abi.FindLocalQueue(q.id)
	switch {
	case err != nil:
		return err
	case ctx == nil:
		return local.GetNoWait(into)
	default:
		return local.Get(ctx, into)
	}
}

func (q *Queue) info() (size, maxsize int) {
	local, err := abi.FindLocalQueue(q.id)
	if err != nil {
		return 0, 0
	}
	return local.QSize(), local.MaxSize()
}
