//go:build linux

package procpool_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// What a call may cost in memory. It does not depend on the machine, and grows unseen.
const (
	mostLone    = 6   // allocations of the host for a call that is waited for before the next one
	mostBulk    = 4   // and for one of many that are submitted together
	mostMapped  = 1   // and for an item of a Map
	mostWorker  = 4   // allocations of the worker for a call
	mostPending = 300 // bytes of the host's heap for a call that waits
)

// double is as small as a Func gets.
var double = futures.NewFunc("test.Double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

// mallocs is how often its process has allocated so far.
var mallocs = futures.NewFunc("test.Mallocs", func(context.Context, none) (uint64, error) { return mallocsHere(), nil })

func mallocsHere() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// measured reports whether figures mean anything.
func measured(t *testing.T) bool {
	t.Helper()
	if raceDetector {
		t.Log("NOT MEASURED: the race detector allocates as well. Everything else about the calls is tested.")
	}
	return !raceDetector
}

// costs runs a load of n calls until it has cost no more than it may, or many times, and returns what a call costs this process and the pool's only worker in allocations:
// the least that was seen, since others allocate as well, and a call that has to wait for a busy machine takes a longer way.
func costs(t *testing.T, pool *procpool.ProcessPoolExecutor, n int, most float64, load func()) (host, worker float64) {
	t.Helper()
	inWorker := func() uint64 {
		n, err := futures.Submit(context.Background(), pool, mallocs, none{}).Result(bounded(t))
		require.NoError(t, err)
		return n
	}
	load() // it learns, and makes room
	for round := 0; round < 5 || round < 60 && (host > most || worker > mostWorker); round++ {
		w, h := inWorker(), mallocsHere()
		load()
		hostDid, workerDid := float64(mallocsHere()-h)/float64(n), float64(inWorker()-w)/float64(n)
		if round == 0 {
			host, worker = hostDid, workerDid
		}
		host, worker = min(host, hostDid), min(worker, workerDid)
	}
	return host, worker
}

func TestAllocationsOfACall(t *testing.T) {
	const calls = 1000
	for _, c := range []struct {
		name       string
		host       float64
		each       int // calls at a time
		mapped     bool
		mapOptions []futures.MapOption
	}{
		{name: "lone", host: mostLone, each: 1},
		{name: "bulk", host: mostBulk, each: calls},
		{name: "Map", host: mostMapped, each: calls, mapped: true},
		{name: "Map Chunksize 64", host: mostMapped, each: calls, mapped: true, mapOptions: []futures.MapOption{futures.Chunksize(64)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1})
			ctx := bounded(t)
			flying := make([]*futures.Future[int], c.each)
			host, worker := costs(t, pool, calls, c.host, func() {
				if c.mapped {
					n := 0
					for got, err := range futures.Map(context.Background(), pool, double, numbers(0, calls), c.mapOptions...) {
						if got != 2*n || err != nil {
							assert.Failf(t, "a wrong result", "call %d: %d, %v", n, got, err)
						}
						n++
					}
					return
				}
				for from := 0; from < calls; from += c.each {
					for i := range flying {
						flying[i] = futures.Submit(context.Background(), pool, double, from+i)
					}
					for i, f := range flying {
						if got, err := f.Result(ctx); got != 2*(from+i) || err != nil {
							assert.Failf(t, "a wrong result", "call %d: %d, %v", from+i, got, err)
						}
					}
				}
			})
			if measured(t) {
				assert.LessOrEqual(t, host, c.host, "allocations of the host for each call")
				assert.LessOrEqual(t, worker, float64(mostWorker), "allocations of the worker for each call")
				t.Logf("%.3f allocations a call in the host, %.3f in the worker", host, worker)
			}
		})
	}
}

// A hundred thousand calls may wait without filling the memory.
func TestMemoryOfAPendingCall(t *testing.T) {
	clean(t)
	const workers, calls = 2, 100_000
	pool := newPool(t, procpool.Config{MaxWorkers: workers})
	g := newGate(t)
	var blocked []*futures.Future[int]
	for range workers {
		blocked = append(blocked, futures.Submit(context.Background(), pool, hold, held{Gate: g.path}))
		g.pid()
	}
	pending := make([]*futures.Future[int], calls)
	before := liveHeap()
	for n := range pending {
		pending[n] = futures.Submit(context.Background(), pool, double, n)
	}
	after := liveHeap()
	assert.Equal(t, calls, pool.Stats().Queued)
	if measured(t) {
		each := float64(after-before) / calls
		assert.LessOrEqual(t, each, float64(mostPending), "bytes of live heap for each call that waits")
		t.Logf("%.0f bytes a pending call", each)
	}
	g.open(workers)
	for _, f := range blocked {
		_, err := f.Result(bounded(t))
		require.NoError(t, err)
	}
	ctx := bounded(t)
	for n, f := range pending {
		if got, err := f.Result(ctx); got != 2*n || err != nil {
			assert.Failf(t, "a wrong result", "call %d: %d, %v", n, got, err)
		}
	}
}

// liveHeap is how many bytes of the heap are in use after a collection.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // what the first one has only found
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
