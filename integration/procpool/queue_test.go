//go:build linux

package procpool_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A call that is cancelled while every worker is busy makes room for another one at once, and not when a worker has answered.
func TestACancelledCallGivesItsRoomBackWhileWorkersAreBusy(t *testing.T) {
	clean(t)
	g := newGate(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, MaxQueue: 2})
	futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	g.pid()
	first := futures.Submit(bounded(t), pool, echo, "first")
	for range 3 {
		second := futures.Submit(bounded(t), pool, echo, "second")
		assert.Equal(t, futures.Pending, second.State(), "there is no room")
		require.True(t, second.Cancel())
	}
	third := futures.Submit(bounded(t), pool, echo, "third")
	g.open(1)
	for _, f := range []*futures.Future[string]{first, third} {
		_, err := f.Result(bounded(t))
		require.NoError(t, err)
	}
	mustClose(t, pool)
}
