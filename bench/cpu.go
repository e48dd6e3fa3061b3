package main

import (
	"context"
	"iter"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// measureCPU is about calls that keep a core busy: how much of two workers that need no pool the pool gets.
func measureCPU(ctx context.Context, b *Bench) ([]Row, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: workers})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	turns, calls := turnsFor(10*time.Millisecond), b.count(400)
	s, err := inTurn(ctx, b.rounds,
		Subject{"this project", func(context.Context) (float64, error) {
			begin := time.Now()
			err := spinAll(unwatched, pool, turns, calls)
			return rate(calls, begin), err
		}},
		Subject{"ideal workers", func(ctx context.Context) (float64, error) {
			took, err := idealWorkers(ctx, b.children, workers, turns, calls)
			return float64(calls) / took.Seconds(), err
		}})
	if err != nil {
		return nil, err
	}
	return []Row{versus("Map of calls of 10 ms of work", perSecond, s[0], "two ideal workers", s[1], Goal{must: 0.97, aim: 0.99})}, nil
}

// spinAll maps so many calls of so many turns.
func spinAll(ctx context.Context, ex futures.Executor, turns, calls int, opts ...futures.MapOption) error {
	for _, err := range futures.Map(ctx, ex, tasks.Spin, repeat(turns, calls), opts...) {
		if err != nil {
			return err
		}
	}
	return nil
}

// repeat is v, n times.
func repeat[T any](v T, n int) iter.Seq[T] {
	return func(yield func(T) bool) {
		for range n {
			if !yield(v) {
				return
			}
		}
	}
}
