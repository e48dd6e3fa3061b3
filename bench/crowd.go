package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// measureCrowd is about more workers than there are cores, busy and idle.
func measureCrowd(ctx context.Context, b *Bench) ([]Row, error) {
	crowds := []int{2, 16, 64}
	most := crowds[len(crowds)-1]
	rates := make([]Sample, len(crowds))
	var idle Sample
	var idleErr error
	for range b.rounds {
		for i, n := range crowds {
			err := func() error {
				pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: n})
				if err != nil {
					return err
				}
				defer pool.Close()
				calls := make([]*futures.Future[int], b.count(200_000))
				if err := submitAll(unwatched, pool, calls[:len(calls)/10]); err != nil { // a first acquaintance
					return err
				}
				begin := time.Now()
				if err := submitAll(unwatched, pool, calls); err != nil {
					return err
				}
				rates[i] = append(rates[i], rate(len(calls), begin))
				if n != most || idleErr != nil {
					return nil
				}
				var v float64
				if v, idleErr = idleLoad(ctx, pool.Stats().PIDs); idleErr == nil {
					idle = append(idle, v)
				}
				return ctx.Err()
			}()
			if err != nil {
				return nil, err
			}
		}
	}
	var rows []Row
	for i, n := range crowds[1:] {
		rows = append(rows, within(fmt.Sprintf("no-op calls, %d workers", n), perSecond, rates[i+1], fmt.Sprintf("with %d workers", crowds[0]), rates[0],
			Goal{must: 0.9}))
	}
	name := fmt.Sprintf("host and %d idle workers", most)
	if idleErr != nil {
		return append(rows, Row{Measure: name, Project: "not to be seen here"}), nil
	}
	return append(rows, alone(name, load, idle, Goal{must: 0.005})), nil
}

// idleLoad is how busy this process and others are for some seconds in which they have nothing to do, as a share of a core.
func idleLoad(ctx context.Context, pids []int) (float64, error) {
	const settle, watch = time.Second, 3 * time.Second
	pids = append(pids, os.Getpid())
	if err := pause(ctx, settle); err != nil {
		return 0, err
	}
	before, err := cpuTime(pids)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := pause(ctx, watch); err != nil {
		return 0, err
	}
	after, err := cpuTime(pids)
	return (after - before).Seconds() / time.Since(begin).Seconds(), err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
