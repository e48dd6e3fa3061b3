package worker

import (
	"context"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

//go:wasmimport interp queue_put
func hostQueuePut(queue int64, p unsafe.Pointer, size uint32, unbound int32, ticket uint64) uint64

//go:wasmimport interp queue_get
func hostQueueGet(queue int64, ticket uint64) uint64

//go:wasmimport interp queue_cancel
func hostQueueCancel(ticket uint64)

//go:wasmimport interp queue_info
func hostQueueInfo(queue int64, p unsafe.Pointer) uint32

func init() {
	ipc.RegisterQueue(
		func(q *Queue) (int64, error) { return q.id, nil },
		func(id int64) (*Queue, error) { return handle(id), nil },
	)
}

// noTicket is for who does not wait.
const noTicket = 0

func (q *Queue) put(ctx context.Context, waits bool, v any, unbound *UnboundItem) error {
	encoded, err := ipc.AppendValue(nil, &v)
	if err != nil {
		return err
	}
	policy := int32(-1)
	if unbound != nil {
		policy = int32(*unbound)
	}
	status, err := q.await(ctx, waits, abi.QueueFull, func(ticket uint64) (status, size uint32) {
		return halves(hostQueuePut(q.id, address(encoded), uint32(len(encoded)), policy, ticket))
	})
	if err == nil {
		err = q.failure(status)
	}
	return err
}

func (q *Queue) get(ctx context.Context, waits bool, into any) error {
	if v := reflect.ValueOf(into); v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("%w: cannot decode into a %T: it must be a pointer, and not nil", futures.ErrNotShareable, into)
	}
	var item []byte
	status, err := q.await(ctx, waits, abi.QueueEmpty, func(ticket uint64) (status, size uint32) {
		status, size = halves(hostQueueGet(q.id, ticket))
		if status == abi.QueueOK {
			item = take(size)
		}
		return status, size
	})
	if err != nil {
		return err
	}
	if status == abi.QueueOK {
		return ipc.DecodeValue(item, into)
	}
	if status == abi.QueueUnbound {
		switch into := into.(type) {
		case *any:
			*into = Unbound
			return nil
		case *UnboundItem:
			*into = Unbound
			return nil
		}
		status = abi.QueueDestroyed
	}
	return q.failure(status)
}

func halves(result uint64) (status, size uint32) { return uint32(result >> 32), uint32(result) }

// await tries until the status is another one than busy, or ctx is done. In between it waits for its ticket to be rung. If it does not wait it
// tries once.
func (q *Queue) await(ctx context.Context, waits bool, busy uint32, try func(ticket uint64) (status, size uint32)) (uint32, error) {
	status, size := try(noTicket)
	if status != busy || !waits {
		return q.refused(status, size)
	}
	ticket, rung := lineUp()
	defer forget(ticket)
	for {
		status, size := try(ticket)
		if status != busy {
			return q.refused(status, size)
		}
		select {
		case <-rung:
		case <-ctx.Done():
			hostQueueCancel(ticket)
			return busy, fmt.Errorf("%w: %w", q.failure(busy), context.Cause(ctx))
		}
	}
}

// refused turns a refusal into the error that the host has a text for.
func (q *Queue) refused(status, size uint32) (uint32, error) {
	if status != abi.QueueRefused {
		return status, nil
	}
	return status, fmt.Errorf("%w: %s", futures.ErrNotShareable, take(size))
}

// failure is nil for QueueOK.
func (q *Queue) failure(status uint32) error {
	var kind error
	switch status {
	case abi.QueueOK:
		return nil
	case abi.QueueEmpty:
		kind = ipc.ErrQueueEmpty
	case abi.QueueFull:
		kind = ipc.ErrQueueFull
	case abi.QueueDestroyed:
		kind = ipc.ErrItemInterpreterDestroyed
	default:
		kind = ipc.ErrQueueNotFound
	}
	return fmt.Errorf("%w (queue %d)", kind, q.id)
}

func (q *Queue) info() (size, maxsize int) {
	var pair [2]int64
	if hostQueueInfo(q.id, unsafe.Pointer(&pair)) != abi.QueueOK {
		return 0, 0
	}
	return int(pair[0]), int(pair[1])
}
