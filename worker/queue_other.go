//go:build !wasip1

package worker

import (
	"context"

	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

func init() { ipc.RegisterQueueHandle((*Queue).ID, handle) }

func (q *Queue) put(ctx context.Context, waits bool, v any, unbound *UnboundItem) error {
	local, err := abi.FindLocalQueue(q.id)
	switch {
	case err != nil:
		return err
	case !waits:
		return local.PutNoWait(v, unbound)
	default:
		return local.Put(ctx, v, unbound)
	}
}

func (q *Queue) get(ctx context.Context, waits bool, into any) error {
	local, err := abi.FindLocalQueue(q.id)
	switch {
	case err != nil:
		return err
	case !waits:
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
