package ipc_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

func TestAQueueTravelsAsItsID(t *testing.T) {
	for _, id := range []int64{0, 1, 255, math.MaxInt64, math.MinInt64} {
		encoded := ipc.AppendQueue([]byte("before"), id)[len("before"):]
		back, err := ipc.QueueID(encoded)
		require.NoError(t, err)
		assert.Equal(t, id, back)
		_, err = ipc.QueueID(encoded[:9])
		assert.Error(t, err)
		_, err = ipc.QueueID(append(encoded, 0))
		assert.Error(t, err)
	}
	_, err := ipc.QueueID([]byte{0xd7, 1, 0, 0, 0, 0, 0, 0, 0, 1})
	assert.Error(t, err, "another extension")
}

type (
	hostQueue  struct{ id int64 }
	guestQueue struct{ id int64 }
)

func TestAQueueIsAQueueWhateverItsType(t *testing.T) {
	ipc.QueueType(reflect.TypeFor[*hostQueue]())
	ipc.QueueType(reflect.TypeFor[guestQueue]())
	assert.Equal(t, "queue", ipc.Fingerprint(reflect.TypeFor[*hostQueue]()))
	assert.Equal(t, "queue", ipc.Fingerprint(reflect.TypeFor[guestQueue]()))
	assert.Equal(t, "struct{In:queue,Out:[]queue}", ipc.Fingerprint(reflect.TypeFor[struct {
		In  guestQueue
		Out []*hostQueue
	}]()))
	assert.Equal(t, "struct{}", ipc.Fingerprint(reflect.TypeFor[hostQueue]()))
}

func TestQueuesInOverlooksNone(t *testing.T) {
	one, two := ipc.AppendQueue(nil, 1), ipc.AppendQueue(nil, 2)
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for name, c := range map[string]struct {
		src  []byte
		want []int64
	}{
		"none":                {[]byte{0x07}, nil},
		"only":                {one, []int64{1}},
		"in arrays and maps":  {join([]byte{0x92, 0x91}, one, []byte{0x81}, two, []byte{0x92}, one, two), []int64{1, 2, 1, 2}},
		"its letter, no more": {[]byte{0xa2, 'q', 'q'}, nil},
		"bytes of its form":   {join([]byte{0xc4, 10}, one), nil},
		"other extensions":    {join([]byte{0x92, 0xd4, 5, 'q', 0xc7, 3, 5, 0xd7, 'q', 0}), nil},
	} {
		ids, err := ipc.QueuesIn(c.src)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, ids, name)
		assert.Equal(t, len(c.want) > 0 || name == "bytes of its form" || name == "other extensions", ipc.MayHoldQueue(c.src), name)
	}
	body := one[2:]
	for name, src := range map[string][]byte{
		"empty":               {},
		"cut":                 one[:9],
		"more than one value": join(one, two),
		"length in 8 bits":    join([]byte{0xc7, 8, 'q'}, body),
		"length in 16 bits":   join([]byte{0xc8, 0, 8, 'q'}, body),
		"length in 32 bits":   join([]byte{0xc9, 0, 0, 0, 8, 'q'}, body),
		"shorter":             {0xd6, 'q', 0, 0, 0, 1},
		"longer":              join([]byte{0xd8, 'q'}, body, body),
		"no body":             {0xc7, 0, 'q'},
	} {
		_, err := ipc.QueuesIn(src)
		assert.Error(t, err, name)
	}
}
