package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// measureStart is about the time from New to the first result, beside that of a program that does nothing.
func measureStart(ctx context.Context, b *Bench) ([]Row, error) {
	const starts = 30
	project, peer := make(Sample, b.rounds), make(Sample, b.rounds)
	for round := range b.rounds {
		pools, programs := make(Sample, b.count(starts)), make(Sample, b.count(starts))
		for i := range pools {
			var err error
			if pools[i], err = startOfPool(ctx, b.children); err != nil {
				return nil, err
			}
			if programs[i], err = startOfProgram(ctx, b.children); err != nil {
				return nil, err
			}
		}
		project[round], peer[round] = pools.median(), programs.median()
	}
	return []Row{
		versus("New to first result", seconds, project, "an empty Go program, to its end", peer, Goal{must: 2, aim: 1.3}),
	}, nil
}

func startOfPool(ctx context.Context, c Children) (float64, error) {
	begin := time.Now()
	pool, err := newPool(ctx, c, procpool.Config{MaxWorkers: workers})
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	_, err = futures.Submit(unwatched, pool, tasks.Noop, 1).Result(unwatched)
	return time.Since(begin).Seconds(), err
}

func startOfProgram(ctx context.Context, c Children) (float64, error) {
	begin := time.Now()
	if err := exec.CommandContext(ctx, c.path("empty")).Run(); err != nil {
		return 0, fmt.Errorf("empty program: %w", err)
	}
	return time.Since(begin).Seconds(), nil
}
