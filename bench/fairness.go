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
	kinds := []struct {
		name string
		fn   futures.Func[time.Duration, int64]
	}{
		{"", tasks.Began},
		{", all of one Func", tasks.Sleep}, // whose duration says nothing then
	}
	var rows []Row
	for _, kind := range kinds {
		var mixed, alone mix
		for range b.rounds {
			if err := mixed.add(mixCalls(ctx, pool, kind.fn, short, longCalls)); err != nil {
				return nil, err
			}
			if err := alone.add(mixCalls(ctx, pool, kind.fn, short, 0)); err != nil {
				return nil, err
			}
		}
		rows = append(rows, mixed.rows(fmt.Sprintf("%d long and %s short calls%s, ", longCalls, thousands(short), kind.name), alone)...)
	}
	return rows, nil
}

// A mix is the fairness of all rounds.
type mix struct{ last, wait, overtaken Sample }

func (m *mix) add(f fairness, err error) error {
	m.last, m.wait, m.overtaken = append(m.last, f.last), append(m.wait, f.wait), append(m.overtaken, f.overtaken)
	return err
}

// rows compare with the short calls alone. The goal speaks of a window of about a millisecond; what more workers than cores
// take from each other is several times that, and a short call that waits for a long one waits for seconds.
func (m mix) rows(name string, short mix) []Row {
	const peer = "the short ones alone"
	return []Row{
		within(name+"last short one done", seconds, m.last, peer, short.last, Goal{}),
		within(name+"longest wait of a short one", seconds, m.wait, peer, short.wait, Goal{}),
		within(name+"longest that a short one was overtaken", seconds, m.overtaken, peer, short.overtaken, Goal{}),
		alone(name+"the same, more than alone", seconds, m.overtaken.minus(short.overtaken), Goal{must: 0.010}),
	}
}

// mixCalls submits the calls, the long ones among the short ones, and awaits them.
func mixCalls(ctx context.Context, ex futures.Executor, fn futures.Func[time.Duration, int64], short, long int) (fairness, error) {
	runtime.GC()
	began := make([]*futures.Future[int64], short)
	submitted := make([]int64, short)
	var longs []*futures.Future[int64]
	begin := time.Now()
	for i := range began {
		if long > 0 && i%(short/long) == 0 && len(longs) < long {
			longs = append(longs, futures.Submit(unwatched, ex, tasks.Sleep, longTime))
		}
		submitted[i] = time.Now().UnixNano()
		began[i] = futures.Submit(unwatched, ex, fn, 0)
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
