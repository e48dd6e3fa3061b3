package ipc

import (
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"
)

// RegisterQueueHandle makes T another type that queues have in this program, beside that of [RegisterQueue], into which a queue is decoded
// if no type is wanted. It belongs into an init function. T is a pointer.
func RegisterQueueHandle[T any](id func(T) int64, handle func(id int64) T) {
	t := reflect.TypeFor[T]()
	QueueType(t)
	encode := func(enc *msgpack.Encoder, v reflect.Value) error {
		if v.IsNil() {
			return enc.EncodeNil()
		}
		if err := enc.EncodeExtHeader(ExtQueue, queueLen); err != nil {
			return err
		}
		_, err := enc.Writer().Write(binary.BigEndian.AppendUint64(nil, uint64(id(v.Interface().(T)))))
		return err
	}
	decode := func(dec *msgpack.Decoder, v reflect.Value) error {
		code, err := dec.PeekCode()
		if err == nil && code == msgpackNil {
			v.SetZero()
			return dec.DecodeNil()
		}
		ext, size, err := dec.DecodeExtHeader()
		if err != nil {
			return err
		}
		var body [queueLen]byte
		if ext != ExtQueue || size != queueLen {
			return fmt.Errorf("ipc: extension %d of %d bytes is not a queue", ext, size)
		}
		if err := dec.ReadFull(body[:]); err != nil {
			return err
		}
		v.Set(reflect.ValueOf(handle(int64(binary.BigEndian.Uint64(body[:])))))
		return nil
	}
	msgpack.Register(reflect.Zero(t).Interface(), encode, decode)
}
