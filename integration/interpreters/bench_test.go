package interpreters_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
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

// How late an endless loop is stopped, after its deadline and its grace.
func BenchmarkStop(b *testing.B) {
	var late, worst time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		ip := create(b, interpreters.Config{Grace: 5 * time.Millisecond})
		b.StartTimer()
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		_, err := interpreters.Call(ctx, ip, tasks.Spin, struct{}{})
		d := time.Since(start) - 10*time.Millisecond
		cancel()
		require.ErrorIs(b, err, context.DeadlineExceeded)
		late += d
		worst = max(worst, d)
		n++
	}
	b.ReportMetric(float64(late.Microseconds())/float64(n), "us-late")
	b.ReportMetric(float64(worst.Microseconds()), "us-late-at-worst")
}

// How much more two interpreters get done than one.
func BenchmarkTwoInterpreters(b *testing.B) {
	a, c := create(b, interpreters.Config{}), create(b, interpreters.Config{})
	work := func(ip *interpreters.Interpreter) {
		for range 4 {
			_, err := interpreters.Call(context.Background(), ip, tasks.IsPrime, 112272535095293)
			assert.NoError(b, err)
		}
	}
	var one, two time.Duration
	for b.Loop() {
		start := time.Now()
		work(a)
		one += time.Since(start)
		start = time.Now()
		var both sync.WaitGroup
		both.Go(func() { work(a) })
		both.Go(func() { work(c) })
		both.Wait()
		two += time.Since(start)
	}
	b.ReportMetric(2*float64(one)/float64(two), "times-one")
}

// How long a goroutine of the host may have to wait while every processor runs a guest.
func BenchmarkHostGap(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	var guests sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		ip := create(b, interpreters.Config{Grace: -1})
		guests.Go(func() { _, _ = interpreters.Call(ctx, ip, tasks.Spin, struct{}{}) }) // ends by cancel
	}
	var worst time.Duration
	for b.Loop() {
		start := time.Now()
		time.Sleep(time.Millisecond)
		worst = max(worst, time.Since(start)-time.Millisecond)
	}
	cancel()
	guests.Wait()
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-gap-at-worst")
}

// The same with goroutines instead of guests, for comparison.
func BenchmarkHostGapNatively(b *testing.B) {
	var over atomic.Bool
	var spinners sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		spinners.Go(func() {
			for !over.Load() {
			}
		})
	}
	var worst time.Duration
	for b.Loop() {
		start := time.Now()
		time.Sleep(time.Millisecond)
		worst = max(worst, time.Since(start)-time.Millisecond)
	}
	over.Store(true)
	spinners.Wait()
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-gap-at-worst")
}

func BenchmarkPoolCall(b *testing.B) {
	pool := newPool(b, interpreters.PoolConfig{MaxWorkers: 1})
	for b.Loop() {
		_, err := futures.Submit(context.Background(), pool, tasks.Add, tasks.Pair{A: 1, B: 2}).Result(context.Background())
		require.NoError(b, err)
	}
}
