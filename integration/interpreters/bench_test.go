package interpreters_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

func BenchmarkCall(b *testing.B) {
	ip := create(b, interpreters.Config{})
	for b.Loop() {
		_, err := interpreters.Call(context.Background(), ip, tasks.Add, tasks.Pair{A: 1, B: 2})
		require.NoError(b, err)
	}
}

func BenchmarkCallWithCancel(b *testing.B) {
	ip := create(b, interpreters.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for b.Loop() {
		_, err := interpreters.Call(ctx, ip, tasks.Add, tasks.Pair{A: 1, B: 2})
		require.NoError(b, err)
	}
}

func BenchmarkCall64KiB(b *testing.B) {
	ip := create(b, interpreters.Config{})
	arg := make([]byte, 64<<10)
	for b.Loop() {
		_, err := interpreters.Call(context.Background(), ip, tasks.Echo, arg)
		require.NoError(b, err)
	}
}

func BenchmarkCreateAndClose(b *testing.B) {
	for b.Loop() {
		ip, err := interpreters.Create(context.Background(), image, interpreters.Config{})
		require.NoError(b, err)
		require.NoError(b, ip.Close())
	}
}

func BenchmarkLoadFromCache(b *testing.B) {
	require.NoError(b, image.Close())
	b.Cleanup(func() {
		var err error
		image, err = interpreters.Load(context.Background(), wasm, interpreters.ImageConfig{CacheDir: cacheDir})
		require.NoError(b, err)
	})
	for b.Loop() {
		img, err := interpreters.Load(context.Background(), wasm, interpreters.ImageConfig{CacheDir: cacheDir})
		require.NoError(b, err)
		require.NoError(b, img.Close())
	}
}

func BenchmarkIsPrime(b *testing.B) {
	ip := create(b, interpreters.Config{})
	for b.Loop() {
		_, err := interpreters.Call(context.Background(), ip, tasks.IsPrime, 112272535095293)
		require.NoError(b, err)
	}
}

func BenchmarkIsPrimeNatively(b *testing.B) {
	for b.Loop() {
		_, err := tasks.IsPrime.Call(context.Background(), 112272535095293)
		require.NoError(b, err)
	}
}

func BenchmarkSort(b *testing.B) {
	ip := create(b, interpreters.Config{})
	for b.Loop() {
		_, err := interpreters.Call(context.Background(), ip, tasks.SortInts, 200_000)
		require.NoError(b, err)
	}
}

func BenchmarkSortNatively(b *testing.B) {
	for b.Loop() {
		_, err := tasks.SortInts.Call(context.Background(), 200_000)
		require.NoError(b, err)
	}
}

// An item goes to the guest and back.
func BenchmarkQueueRoundTrip(b *testing.B) {
	ip := create(b, interpreters.Config{})
	from, hFrom := queue(b, 0)
	to, hTo := queue(b, 0)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = interpreters.Call(ctx, ip, tasks.Relay, tasks.Relaying{From: hFrom, To: hTo, N: 1 << 30}) // ends by cancel
	}()
	for b.Loop() {
		require.NoError(b, from.Put(ctx, 1))
		_, err := interpreters.GetAs[int](ctx, to)
		require.NoError(b, err)
	}
	cancel()
	<-over
}
