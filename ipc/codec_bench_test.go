package ipc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

func BenchmarkValue(b *testing.B) {
	b.Run("int", func(b *testing.B) { benchmarkValue(b, uint64(112272535095293)) })
	b.Run("struct", func(b *testing.B) { benchmarkValue(b, point{X: 1, Y: -2000, Name: "corner"}) })
	b.Run("string", func(b *testing.B) { benchmarkValue(b, "a string of some length") })
	b.Run("1MiB", func(b *testing.B) { benchmarkValue(b, make([]byte, 1<<20)) })
	b.Run("ints", func(b *testing.B) { benchmarkValue(b, make([]int, 1000)) })
	b.Run("any", func(b *testing.B) {
		benchmarkValue[any](b, map[string]any{"id": 1, "tags": []any{"a", "b"}, "sub": map[string]any{"x": 1.5}})
	})
}

func benchmarkValue[T any](b *testing.B, v T) {
	encoded, err := ipc.AppendValue(nil, &v)
	require.NoError(b, err)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = ipc.AppendValue(encoded[:0], &v)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var into T
			_ = ipc.DecodeValue(encoded, &into)
		}
	})
}

type point struct {
	X, Y int
	Name string
}
