package main

import (
	"context"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// measureRecycle is about a process for each call.
func measureRecycle(ctx context.Context, b *Bench) ([]Row, error) {
	s, err := inTurn(ctx, b.rounds, Subject{"this project", func(ctx context.Context) (float64, error) {
		pool, err := newPool(ctx, b.children, procpool.Config{MaxWorkers: workers, MaxTasksPerChild: 1})
		if err != nil {
			return 0, err
		}
		defer pool.Close()
		calls := make([]*futures.Future[int], b.count(200))
		begin := time.Now()
		err = submitAll(unwatched, pool, calls)
		return rate(len(calls), begin), err
	}})
	if err != nil {
		return nil, err
	}
	return []Row{alone("calls with MaxTasksPerChild = 1", perSecond, s[0], Goal{must: 170, aim: 250})}, nil
}
