package procpool

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A pool that is saturated for good does not keep a Map from ending with its ctx.
func TestAChunkOfASaturatedPoolIsCancelledAtOnce(t *testing.T) {
	pool, err := New(Config{Worker: Self()})
	require.NoError(t, err)
	pool.state.policy.maxWorkers = 0 // so that nothing ever happens
	futures.Submit(t.Context(), pool, probe, 0)
	require.True(t, pool.saturated.Load())
	ctx, cancel := context.WithCancel(t.Context())
	inputs := func(yield func(int) bool) {
		if yield(1) && yield(2) { // and the chunk is submitted
			cancel()
		}
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		n := 0
		for _, err := range futures.Map(ctx, pool, probe, inputs, futures.Chunksize(2)) {
			assert.ErrorIs(t, err, futures.ErrCancelled)
			n++
		}
		assert.Equal(t, 2, n)
	}()
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Fatal("the Map outlives its ctx")
	}
	require.NoError(t, pool.Shutdown(t.Context(), futures.CancelFutures()))
}

// tardy is a pool as it is for somebody who has asked whether it refuses calls before it was shut down, and goes on now.
type tardy struct{ *ProcessPoolExecutor }

func (p tardy) Submit(c futures.Call) { p.leave(p.accept(c)) }

// Whoever submits may be overtaken by a shutdown: the call is refused then, however long those take that run.
func TestACallThatAShutdownOvertakesIsRefusedAtOnce(t *testing.T) {
	pool, err := New(Config{Worker: Self()})
	require.NoError(t, err)
	pool.state.policy.maxWorkers = 0 // so that nothing ever happens
	accepted := futures.Submit(t.Context(), pool, probe, 0)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, pool.Shutdown(done), context.Canceled)
	late := futures.Submit(t.Context(), tardy{pool}, probe, 1)
	require.Equal(t, futures.Finished, late.State())
	require.ErrorIs(t, late.Err(t.Context()), futures.ErrShutdown)
	require.NoError(t, pool.Shutdown(t.Context(), futures.CancelFutures()))
	require.ErrorIs(t, accepted.Err(t.Context()), futures.ErrCancelled)
}

// What waits in the intake of a saturated pool may have a worker launched for it by whatever comes next, Stats included.
func TestStatsMayBeWhatHasAWorkerLaunched(t *testing.T) {
	pool, err := New(Config{Worker: Self(), MaxWorkers: 1})
	require.NoError(t, err)
	pool.saturated.Store(true)
	f := futures.Submit(t.Context(), pool, probe, 0)
	require.True(t, pool.waiting.Load())
	assert.Empty(t, pool.Stats().PIDs)
	assert.False(t, pool.waiting.Load())
	_, err = f.Result(t.Context())
	require.ErrorIs(t, err, futures.ErrNoBody, "no worker has looked for it")
	assert.Len(t, pool.Stats().PIDs, 1)
	require.NoError(t, pool.Close())
}
