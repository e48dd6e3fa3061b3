package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// Durations are throughputs against the duration of the call.
type Durations struct {
	durations []time.Duration
	Ways      []Way
	ideal     []Sample // of so many bare processes, for each duration
}

// A Way is one way to make the calls.
type Way struct {
	Name  string
	make  func(ctx context.Context, ex futures.Executor, turns, calls int) error
	rates []Sample // for each duration
}

// measureDurations is about calls from a microsecond to ten milliseconds.
func measureDurations(ctx context.Context, b *Bench) ([]Row, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: workers})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	d := &Durations{Ways: []Way{
		{Name: "Map", make: func(ctx context.Context, ex futures.Executor, turns, calls int) error {
			return spinAll(ctx, ex, turns, calls)
		}},
		{Name: "Map, Chunksize(1)", make: func(ctx context.Context, ex futures.Executor, turns, calls int) error {
			return spinAll(ctx, ex, turns, calls, futures.Chunksize(1))
		}},
		{Name: "Submit", make: spinEach},
	}}
	for _, us := range []int{1, 3, 10, 30, 100, 300, 1000, 3000, 10_000} {
		d.durations = append(d.durations, time.Duration(us)*time.Microsecond)
	}
	for i := range d.Ways {
		d.Ways[i].rates = make([]Sample, len(d.durations))
	}
	d.ideal = make([]Sample, len(d.durations))
	perSecond := turnsFor(time.Second)
	for range min(b.rounds, 3) {
		for i, duration := range d.durations {
			calls := min(int(workers*b.forPoint()/duration), b.count(300_000))
			turns := int(float64(perSecond) * duration.Seconds())
			took, err := idealWorkers(ctx, b.children, workers, turns, int(workers*b.forPoint()/duration))
			if err != nil {
				return nil, err
			}
			d.ideal[i] = append(d.ideal[i], float64(workers*b.forPoint()/duration)/took.Seconds())
			for j := range d.Ways {
				runtime.GC()
				begin := time.Now()
				if err := d.Ways[j].make(unwatched, pool, turns, calls); err != nil {
					return nil, err
				}
				d.Ways[j].rates[i] = append(d.Ways[j].rates[i], rate(calls, begin))
			}
		}
	}
	b.durations = d
	var rows []Row
	for _, way := range d.Ways {
		rows = append(rows, Row{
			Measure: "calls from which on two workers are nine tenths busy", Project: way.Name + ": " + d.worthIt(way),
		})
	}
	return rows, nil
}

// forPoint is for how long calls are made for a point of the plot, if they cost nothing.
func (b *Bench) forPoint() time.Duration { return time.Duration(b.count(int(250 * time.Millisecond))) }

// spinEach submits the calls one by one and awaits them in order.
func spinEach(ctx context.Context, ex futures.Executor, turns, calls int) error {
	fs := make([]*futures.Future[time.Duration], calls)
	for i := range fs {
		fs[i] = futures.Submit(ctx, ex, tasks.Spin, turns)
	}
	for _, f := range fs {
		if _, err := f.Result(ctx); err != nil {
			return err
		}
	}
	return nil
}

// worthIt is the shortest duration from which on a way gets nine tenths of what as many bare processes get.
func (d *Durations) worthIt(way Way) string {
	from := -1
	for i := len(d.durations) - 1; i >= 0 && way.rates[i].over(d.ideal[i]).median() >= 0.9; i-- {
		from = i
	}
	if from < 0 {
		return fmt.Sprintf("none up to %v", d.durations[len(d.durations)-1])
	}
	return d.durations[from].String()
}
