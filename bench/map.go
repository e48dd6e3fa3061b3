package main

import (
	"context"
	"iter"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// mapAll maps the no-op over the numbers below n.
func mapAll(ctx context.Context, ex futures.Executor, n int, opts ...futures.MapOption) error {
	for _, err := range futures.Map(ctx, ex, tasks.Noop, numbers(n), opts...) {
		if err != nil {
			return err
		}
	}
	return nil
}

func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// measureMap is about numbers by the million, in chunks.
func measureMap(ctx context.Context, b *Bench) ([]Row, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: workers})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	subjects := []Subject{{"this project", func(context.Context) (float64, error) {
		n := b.count(3_000_000)
		begin := time.Now()
		err := mapAll(unwatched, pool, n)
		return rate(n, begin), err
	}}}
	if b.python != nil {
		subjects = append(subjects, Subject{"imap_unordered", func(ctx context.Context) (float64, error) {
			figure, err := b.python.measure(ctx, "imap", b.count(1_000_000), 1000)
			return figure.Rate, err
		}})
	}
	s, err := inTurn(ctx, b.rounds, subjects...)
	if err != nil {
		return nil, err
	}
	const name, peer = "Map over numbers", "multiprocessing imap_unordered, chunksize 1000"
	rows := []Row{alone(name, perSecond, s[0], Goal{must: 4e6, aim: 8e6})}
	if len(s) == 1 {
		return append(rows, absent(name, peer, noPython)), nil
	}
	return append(rows, versus(name, perSecond, s[0], peer, s[1], Goal{must: 1})), nil
}
