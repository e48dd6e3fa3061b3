package main

import (
	"context"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// unwatched is the ctx of calls that nobody means to call off: watching one for each call is not free, and has rows of its
// own. Such calls end with their pool.
var unwatched = context.Background()

// newPool makes a pool of the benchmarks' worker. Its workers are killed, and so its calls over, when ctx is done.
func newPool(ctx context.Context, c Children, config procpool.Config) (*procpool.ProcessPoolExecutor, error) {
	config.Worker = procpool.Command(c.path("worker"))
	pool, err := procpool.New(config)
	if err == nil {
		context.AfterFunc(ctx, pool.KillWorkers)
	}
	return pool, err
}

// startPool starts a pool of the benchmarks' worker, all of whose workers are running when it returns.
func startPool(ctx context.Context, c Children, config procpool.Config) (*procpool.ProcessPoolExecutor, error) {
	pool, err := newPool(ctx, c, config)
	if err != nil {
		return nil, err
	}
	// A worker is started only when none is idle, so each is kept busy until the last one is there.
	busy, release := context.WithCancel(ctx)
	defer release()
	held := make([]*futures.Future[int64], config.MaxWorkers)
	for i := range held {
		held[i] = futures.Submit(busy, pool, tasks.Sleep, forever)
	}
	if err := allRunning(ctx, held); err != nil {
		_ = pool.Close()
		return nil, err
	}
	release()
	_, _, err = futures.Wait(ctx, held, futures.AllCompleted)
	return pool, err
}

// forever is longer than any run; what takes that long is ended by its ctx.
const forever = time.Hour

// allRunning waits until all calls have begun.
func allRunning(ctx context.Context, calls []*futures.Future[int64]) error {
	tick := time.NewTicker(time.Millisecond) // there is no event for it
	defer tick.Stop()
	for _, call := range calls {
		for call.State() == futures.Pending {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}
