//go:build linux

package procpool_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A pool whose calls wait behind one that blocks, with nobody to take them over, sleeps as well: there is nothing that it could see by
// looking up.
func TestAPoolWithNobodyToTakeOverSleeps(t *testing.T) {
	clean(t)
	g, b := newGate(t), newBoard(t, 1000)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Env: b.env()})
	ctx := bounded(t)
	for range 200 { // it learns how short they are
		_, err := futures.Submit(ctx, pool, holdOrTally, heldTally{}).Result(ctx)
		require.NoError(t, err)
	}
	all := []*futures.Future[int]{futures.Submit(context.Background(), pool, holdOrTally, heldTally{Gate: g.path})}
	for n := range 100 {
		all = append(all, futures.Submit(context.Background(), pool, holdOrTally, heldTally{N: n}))
	}
	g.pid()
	awaitQuiet(t, pool.Stats().PIDs...)
	g.open(1)
	for _, f := range all {
		_, err := f.Result(ctx)
		require.NoError(t, err)
	}
}
