package ipc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// ExtQueue is the type of the extension by which a queue of package interpreters travels: its body is the id in eight bytes, big-endian.
const ExtQueue = 'q'

// The sentinels of queues, which are the same for the host and inside an interpreter.
var (
	ErrQueueEmpty               = errors.New("interpreters: queue is empty")
	ErrQueueFull                = errors.New("interpreters: queue is full")
	ErrQueueNotFound            = errors.New("interpreters: queue not found")
	ErrItemInterpreterDestroyed = errors.New("interpreters: the interpreter that put the item is gone")
)

const (
	fixExt8  = 0xd7
	queueLen = 8 // of the body
)

// AppendQueue appends the encoding of a queue.
func AppendQueue(dst []byte, id int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, fixExt8, ExtQueue), uint64(id))
}

// QueueID reads what AppendQueue has made.
func QueueID(src []byte) (int64, error) {
	if len(src) != 2+queueLen || src[0] != fixExt8 || src[1] != ExtQueue {
		return 0, errors.New("ipc: not a queue")
	}
	return int64(binary.BigEndian.Uint64(src[2:])), nil
}

// MayHoldQueue is false for most values that hold no queue in AppendQueue's form, and never for one that does.
func MayHoldQueue(src []byte) bool { return bytes.Contains(src, []byte{fixExt8, ExtQueue}) }

// QueuesIn lists the ids of the queues in src, which is one value and nothing more, wherever they are. All of src is checked as
// [Valid] does. A queue in another form than AppendQueue's is an error, so that none is overlooked.
func QueuesIn(src []byte) (ids []int64, err error) {
	var bodies []int
	n, err := measure(src, MaxDepth, &bodies)
	if err != nil {
		return nil, err
	}
	if n < len(src) {
		return nil, fmt.Errorf("ipc: %d bytes after the end of the value", len(src)-n)
	}
	for _, body := range bodies {
		if src[body-1] != ExtQueue {
			continue
		}
		id, err := QueueID(src[body-2 : min(body+queueLen, n)])
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// queueTypes holds the types that are queues on the wire.
var queueTypes sync.Map

// QueueType says that values of t travel as queues, by methods of their own or by [RegisterQueue], which says so itself. All
// such types have one [Fingerprint]. It belongs into an init function.
func QueueType(t reflect.Type) { queueTypes.Store(t, true) }

func isQueue(t reflect.Type) bool {
	_, is := queueTypes.Load(t)
	return is
}

// RegisterQueue makes T the type that queues have in this program: id and find are called to encode and
// to decode one. It belongs into an init function.
func RegisterQueue[T any](id func(T) (int64, error), find func(id int64) (T, error)) {
	var queue T
	QueueType(reflect.TypeFor[T]())
	msgpack.RegisterExtEncoder(ExtQueue, queue, func(_ *msgpack.Encoder, v reflect.Value) ([]byte, error) {
		n, err := id(v.Interface().(T))
		return binary.BigEndian.AppendUint64(nil, uint64(n)), err
	})
	msgpack.RegisterExtDecoder(ExtQueue, queue, func(dec *msgpack.Decoder, v reflect.Value, size int) error {
		if !v.CanSet() {
			return fmt.Errorf("ipc: a queue is decoded into a %T", queue)
		}
		v.SetZero() // msgpack has put a queue of its own there
		var body [queueLen]byte
		if size != queueLen {
			return fmt.Errorf("ipc: a queue of %d bytes", size)
		}
		if err := dec.ReadFull(body[:]); err != nil {
			return err
		}
		q, err := find(int64(binary.BigEndian.Uint64(body[:])))
		if err == nil {
			v.Set(reflect.ValueOf(q))
		}
		return err
	})
}
