package main

import (
	"context"
	"runtime"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// measurePending is about the memory of calls that wait, their futures included.
func measurePending(ctx context.Context, b *Bench) ([]Row, error) {
	s, err := inTurn(ctx, b.rounds,
		Subject{"this project", func(ctx context.Context) (float64, error) { return heapOfPending(ctx, unwatched, b) }},
		Subject{"this project, a ctx watched", func(ctx context.Context) (float64, error) { return heapOfPending(ctx, ctx, b) }})
	if err != nil {
		return nil, err
	}
	return []Row{
		alone("heap of a pending call", size, s[0], Goal{must: 300, aim: 150}),
		within("heap of a pending call, a ctx watched", size, s[1], "without", s[0], Goal{}),
	}, nil
}

// heapOfPending is that of calls under a ctx of their own.
func heapOfPending(ctx, callsUnder context.Context, b *Bench) (float64, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: workers})
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	blocked, release := context.WithCancel(ctx)
	defer release()
	held := make([]*futures.Future[int64], workers)
	for i := range held {
		held[i] = futures.Submit(blocked, pool, tasks.Sleep, forever)
	}
	if err := allRunning(ctx, held); err != nil {
		return 0, err
	}
	calls := make([]*futures.Future[int], b.count(200_000))
	before := liveHeap()
	for i := range calls {
		calls[i] = futures.Submit(callsUnder, pool, tasks.Noop, i)
	}
	after := liveHeap()
	release()
	_, _, err = futures.Wait(ctx, calls, futures.AllCompleted)
	return float64(after-before) / float64(len(calls)), err
}

// liveHeap is how many bytes the heap has of objects that can be reached.
func liveHeap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
