package main

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// measureScale is about what a call costs when there are many, and what a Map keeps that does not end.
func measureScale(ctx context.Context, b *Bench) ([]Row, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: workers})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	rows, err := costs(ctx, b, pool)
	if err != nil {
		return nil, err
	}
	growth, heap, err := endless(ctx, pool, b.count(10_000_000))
	if err != nil {
		return nil, err
	}
	return append(rows,
		alone("endless Map, live heap", size, heap, Goal{}),
		alone("endless Map, growth of the live heap", size, Sample{growth}, Goal{must: 1 << 20})), nil
}

// mostAtOnce takes some GiB, so it is left out where that is not there.
const (
	mostAtOnce     = 10_000_000
	bytesPerAtOnce = 700
)

// costs submits so many calls at once, the small numbers as often as it takes for a sample of the same size. One half of their samples is taken
// before that of the largest number and one half after it.
func costs(ctx context.Context, b *Bench, pool futures.Executor) ([]Row, error) {
	const name = "calls submitted at once, cost of one, "
	most := b.count(mostAtOnce)
	var sizes []int
	for n := b.count(10_000); n < most; n *= 10 {
		sizes = append(sizes, n)
	}
	took := make([]time.Duration, len(sizes))
	half := func() error {
		for range most / 2 / sizes[len(sizes)-1] { // all sizes in turn
			for i, n := range sizes {
				d, err := burst(ctx, pool, n, sizes[len(sizes)-1]/n)
				if err != nil {
					return err
				}
				took[i] += d
			}
		}
		return nil
	}
	if err := half(); err != nil {
		return nil, err
	}
	largest, room := time.Duration(0), available() == 0 || available() > uint64(most*bytesPerAtOnce)
	if room {
		var err error
		if largest, err = burst(ctx, pool, most, 1); err != nil {
			return nil, err
		}
	}
	if err := half(); err != nil {
		return nil, err
	}

	var rows []Row
	cost := make([]float64, len(sizes))
	done := most / 2 / sizes[len(sizes)-1] * 2 * sizes[len(sizes)-1]
	for i, n := range sizes {
		cost[i] = took[i].Seconds() / float64(done)
		rows = append(rows, alone(name+"n = "+thousands(n), seconds, Sample{cost[i]}, Goal{}))
	}
	last := name + "n = " + thousands(most)
	if room {
		cost = append(cost, largest.Seconds()/float64(most))
		rows = append(rows, alone(last, seconds, Sample{cost[len(cost)-1]}, Goal{}))
	} else {
		rows = append(rows, Row{Measure: last, Project: "not enough memory here"})
	}
	spread := Row{Measure: name + "dearest n to cheapest"}
	ratio, u := slices.Max(cost)/slices.Min(cost), seconds.times()
	goal := Goal{must: 1.3}
	spread.Ratio, spread.Must, spread.Verdict = u.text(ratio), u.goal(goal.must), goal.verdict(u, ratio)
	return append(rows, spread), nil
}

// burst is how long it takes to submit n calls at once and await them, and that so many times.
func burst(ctx context.Context, ex futures.Executor, n, times int) (time.Duration, error) {
	calls := make([]*futures.Future[int], n)
	runtime.GC()
	begin := time.Now()
	for range times {
		if err := submitAll(unwatched, ex, calls); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

// endless looks at the heap ten times while n items of a Map go by whose input never ends. growth is from the first time to the most.
func endless(ctx context.Context, ex futures.Executor, n int) (growth float64, heap Sample, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := 0
	for _, err := range futures.Map(ctx, ex, tasks.Noop, numbers(math.MaxInt)) {
		if err != nil {
			return 0, nil, err
		}
		if done++; done%(n/10) == 0 {
			heap = append(heap, float64(liveHeap()))
		}
		if done == n {
			break
		}
	}
	return slices.Max(heap) - heap[0], heap, nil
}
