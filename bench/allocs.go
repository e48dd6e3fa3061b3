package main

import (
	"context"
	"runtime"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// measureAllocs is about the objects that a call makes. The pool has one worker, so that the worker's are all of one process.
func measureAllocs(ctx context.Context, b *Bench) ([]Row, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: 1})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	n := b.count(200_000)
	ways := []struct {
		name string
		make func(context.Context) error
	}{
		{"one at a time", func(ctx context.Context) error {
			for i := range n {
				if _, err := futures.Submit(ctx, pool, tasks.Noop, i).Result(ctx); err != nil {
					return err
				}
			}
			return nil
		}},
		{"all at once", func(ctx context.Context) error { return submitAll(ctx, pool, make([]*futures.Future[int], n)) }},
	}
	var rows []Row
	for _, way := range ways {
		var host, watched, worker Sample
		for range b.rounds {
			h, w, err := allocsOf(pool, func() error { return way.make(unwatched) })
			if err != nil {
				return nil, err
			}
			host, worker = append(host, h/float64(n)), append(worker, w/float64(n))
			h, _, err = allocsOf(pool, func() error { return way.make(ctx) })
			if err != nil {
				return nil, err
			}
			watched = append(watched, h/float64(n))
		}
		rows = append(rows,
			alone("allocations per call, "+way.name+", host", objects, host, Goal{must: 6, aim: 3}),
			within("allocations per call, "+way.name+", host, a ctx watched", objects, watched, "without", host, Goal{}),
			alone("allocations per call, "+way.name+", worker", objects, worker, Goal{must: 4, aim: 2}),
		)
	}
	return rows, nil
}

// allocsOf is how many objects the host and its worker allocate during do.
func allocsOf(pool futures.Executor, do func() error) (host, worker float64, err error) {
	workerBefore, err := futures.Submit(unwatched, pool, tasks.Mallocs, struct{}{}).Result(unwatched)
	if err != nil {
		return 0, 0, err
	}
	hostBefore := mallocs()
	if err := do(); err != nil {
		return 0, 0, err
	}
	hostAfter := mallocs()
	workerAfter, err := futures.Submit(unwatched, pool, tasks.Mallocs, struct{}{}).Result(unwatched)
	return float64(hostAfter - hostBefore), float64(workerAfter - workerBefore), err
}

func mallocs() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Mallocs
}
