//go:build linux

package procpool_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// napHoldOrTally is holdOrTally, but is busy for so many microseconds if the number is negative.
var napHoldOrTally = futures.NewFunc("test.NapHoldOrTally", func(ctx context.Context, h heldTally) (int, error) {
	if h.N < 0 { // busy: the timer of a sleep is coarse
		for began := time.Now(); time.Since(began) < time.Duration(-h.N)*time.Microsecond; {
			runtime.Gosched() // whoever stands by may run
		}
		return h.N, nil
	}
	return holdOrTally.Call(ctx, h)
})

// Answers that a worker has given before a call that blocks reach their callers while it blocks, also if a call before them was long enough
// for the worker to look after its requests meanwhile.
func TestAnswersBeforeACallThatBlocksArrive(t *testing.T) {
	for round := range 8 {
		if !t.Run(fmt.Sprint(round), answersBeforeACallThatBlocksArrive) {
			return // it has shown
		}
	}
}

func answersBeforeACallThatBlocksArrive(t *testing.T) {
	clean(t)
	g, b := newGate(t), newBoard(t, 10)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Env: b.env()})
	items := []heldTally{{N: 0}, {N: -20_000}, {N: -100}, {N: 1}, {N: 2}, {Gate: g.path}, {N: 3}} // the host sleeps again when the third is over
	const blocks = 5
	arrived := make(chan int, len(items))
	over := make(chan error, 1)
	go func() { // ends with the Map
		var failed error
		for item, err := range futures.MapUnordered(context.Background(), pool, napHoldOrTally, slices.Values(items), futures.Chunksize(len(items))) {
			if err != nil {
				failed = err
			}
			arrived <- item.Index
		}
		over <- failed
	}()
	g.pid()
	wait := bounded(t)
	for n := range blocks {
		select {
		case index := <-arrived:
			assert.Equal(t, n, index)
		case <-wait.Done():
			require.Failf(t, "an answer does not arrive", "of item %d: %+v", n, pool.Stats())
		}
	}
	g.open(1)
	require.NoError(t, <-over)
}
