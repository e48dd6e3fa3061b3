// Package tasks is what the benchmarks call: the host and its worker share it.
package tasks

import (
	"context"
	"runtime"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// Noop returns what it got: all that is measured is the way there and back.
var Noop = futures.NewFunc("bench.noop", func(_ context.Context, n int) (int, error) { return n, nil })

// Echo returns what it got.
var Echo = futures.NewFunc("bench.echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })

// Spin does a fixed amount of work, in turns, and says how long that took. It is given work and not a time, so that a worker
// that gets less of a processor takes longer, as a real function would.
var Spin = futures.NewFunc("bench.spin", func(_ context.Context, turns int) (time.Duration, error) {
	begin := time.Now()
	spun = Turn(spun, turns)
	return time.Since(begin), nil
})

// Sleep says when it began, in nanoseconds since 1970, after it has slept; its ctx wakes it.
var Sleep = futures.NewFunc("bench.sleep", func(ctx context.Context, d time.Duration) (int64, error) {
	began := time.Now().UnixNano()
	if d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	return began, nil
})

// Began says when it began, in nanoseconds since 1970.
var Began = futures.NewFunc("bench.began", func(context.Context, time.Duration) (int64, error) { return time.Now().UnixNano(), nil })

// Mallocs is the number of objects that this process has allocated so far.
var Mallocs = futures.NewFunc("bench.mallocs", func(context.Context, struct{}) (uint64, error) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Mallocs, nil
})

// spun keeps the compiler from leaving the work out.
var spun uint64 = 1

// Turn is n turns of a chain of operations each of which waits for the one before it: it keeps one core busy and no memory.
func Turn(x uint64, n int) uint64 {
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}
