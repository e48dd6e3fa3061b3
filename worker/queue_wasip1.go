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
	status, _, err := q.await(ctx, waits, abi.QueueFull, func(ticket uint64) uint64 {
		return hostQueuePut(q.id, address(encoded), uint32(len(encoded)), policy, ticket)
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
	status, item, err := q.await(ctx, waits, abi.QueueEmpty, func(ticket uint64) uint64 { return hostQueueGet(q.id, ticket) })
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

// await tries until the status is another one than busy, or ctx is done. In between it waits for its ticket to be rung. If it does not wait it
// tries once. It returns the status, and what the host has left.
func (q *Queue) await(ctx context.Context, waits bool, busy uint32, try func(ticket uint64) uint64) (status uint32, left []byte, err error) {
	status, left = taking(try, noTicket)
	if status != busy || !waits {
		return status, left, refused(status, left)
	}
	ticket, rung := lineUp()
	defer forget(ticket)
	for {
		status, left = taking(try, ticket)
		if status != busy {
			return status, left, refused(status, left)
		}
		select {
		case <-rung:
		case <-ctx.Done():
			hostQueueCancel(ticket)
			return busy, nil, fmt.Errorf("%w: %w", q.failure(busy), context.Cause(ctx))
		}
	}
}

// taking tries, and takes what the host has left.
func taking(try func(ticket uint64) uint64, ticket uint64) (status uint32, left []byte) {
	leaving.Lock()
	defer leaving.Unlock()
	result := try(ticket)
	return uint32(result >> 32), take(uint32(result))
}

// refused turns a refusal into the error that the host has a text for.
func refused(status uint32, text []byte) error {
	if status != abi.QueueRefused {
		return nil
	}
	return fmt.Errorf("%w: %s", futures.ErrNotShareable, text)
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
