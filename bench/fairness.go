package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

const (
	fairWorkers = 10
	longCalls   = 8
	longTime    = 2 * time.Second
)

// fairness is what became of the short calls of one round, in seconds.
type fairness struct {
	last      float64 // from the first Submit to the result of the last short call
	wait      float64 // the longest that a short call took to begin
	overtaken float64 // the longest that a short call took to begin after one that was submitted later had begun
}

// measureFairness is about short calls that are submitted together with long ones, beside the same short calls without.
func measureFairness(ctx context.Context, b *Bench) ([]Row, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: fairWorkers})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	short := b.count(10_000)
	var with, without, last, lastAlone, wait, waitAlone Sample
	for range b.rounds {
		mixed, err := mixCalls(ctx, pool, short, longCalls)
		if err != nil {
			return nil, err
		}
		alone, err := mixCalls(ctx, pool, short, 0)
		if err != nil {
			return nil, err
		}
		last, lastAlone = append(last, mixed.last), append(lastAlone, alone.last)
		wait, waitAlone = append(wait, mixed.wait), append(waitAlone, alone.wait)
		with, without = append(with, mixed.overtaken), append(without, alone.overtaken)
	}
	name := fmt.Sprintf("%d long and %d short calls, ", longCalls, short)
	const peer = "the short ones alone"
	return []Row{
		versus(name+"last short one done", seconds, last, peer, lastAlone, Goal{}),
		versus(name+"longest wait of a short one", seconds, wait, peer, waitAlone, Goal{}),
		versus(name+"longest that a short one was overtaken", seconds, with, peer, without, Goal{}),
		alone(name+"the same, more than alone", seconds, with.minus(without), Goal{must: longTime.Seconds() / 200}),
	}, nil
}

// mixCalls submits the calls, the long ones among the short ones, and awaits them.
func mixCalls(ctx context.Context, ex futures.Executor, short, long int) (fairness, error) {
	runtime.GC()
	began := make([]*futures.Future[int64], short)
	submitted := make([]int64, short)
	var longs []*futures.Future[int64]
	begin := time.Now()
	for i := range began {
		if long > 0 && i%(short/long) == 0 && len(longs) < long {
			longs = append(longs, futures.Submit(ctx, ex, tasks.Sleep, longTime))
		}
		submitted[i] = time.Now().UnixNano()
		began[i] = futures.Submit(ctx, ex, tasks.Sleep, 0)
	}
	starts := make([]int64, short)
	for i, call := range began {
		var err error
		if starts[i], err = call.Result(ctx); err != nil {
			return fairness{}, err
		}
	}
	f := fairness{last: time.Since(begin).Seconds()}
	earliest := slices.Max(starts) // of those that were submitted later
	for i, start := range slices.Backward(starts) {
		f.wait = max(f.wait, time.Duration(start-submitted[i]).Seconds())
		f.overtaken = max(f.overtaken, time.Duration(start-earliest).Seconds())
		earliest = min(earliest, start)
	}
	_, _, err := futures.Wait(ctx, longs, futures.AllCompleted)
	return f, err
}
