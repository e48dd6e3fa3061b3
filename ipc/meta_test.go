package ipc_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// What is encoded here, and what a host encodes with msgpack, comes back alike.
func TestMetaComesBack(t *testing.T) {
	for _, want := range []ipc.Meta{
		{},
		{Timeout: 1},
		{Deadline: math.MaxInt64, Attempt: 2},
		{Timeout: 127, Deadline: 128, Attempt: 255},
		{Timeout: 256, Deadline: math.MaxUint32, Attempt: math.MaxInt32},
		{Timeout: math.MaxUint32 + 1, Deadline: -1},
		{Timeout: math.MinInt64, Deadline: math.MinInt64, Attempt: -1},
	} {
		m := parse(t, ipc.AppendRequest(nil, 7, "f", want, []byte{0xC0}))
		got, err := ipc.DecodeMeta(m.Meta)
		require.NoError(t, err)
		assert.Equal(t, want, got)

		b, err := msgpack.Marshal(want)
		require.NoError(t, err)
		got, err = ipc.DecodeMeta(b)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestMetaOutOfTheOrdinary(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  ipc.Meta
		ok    bool
	}{
		"a key of a later version": {map[string]any{"colour": "red", "attempt": 3}, ipc.Meta{Attempt: 3}, true},
		"many keys":                {map[string]any{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 0, "k": 1, "l": 2, "m": 3, "n": 4, "o": 5, "timeout": 6}, ipc.Meta{Timeout: 6}, true},
		"a text for a number":      {map[string]any{"timeout": "soon"}, ipc.Meta{}, false},
		"no map":                   {"timeout", ipc.Meta{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := msgpack.Marshal(c.value)
			require.NoError(t, err)
			got, err := ipc.DecodeMeta(b)
			if !c.ok {
				require.ErrorIs(t, err, ipc.ErrProtocol)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}
