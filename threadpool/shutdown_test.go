package threadpool_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/threadpool"
)

// test_shutdown::ExecutorShutdownTest::test_run_after_shutdown, row E4
func TestSubmitAfterShutdownIsRefused(t *testing.T) {
	pool := open(t, threadpool.Config{})
	require.NoError(t, pool.Shutdown(t.Context()))
	f := submit(t, pool, nothing)
	assert.Equal(t, futures.Finished, f.State())
	assert.Equal(t, futures.ErrShutdown, f.Err(t.Context()))
}

// row E50
func TestShutdownMayBeCalledAgain(t *testing.T) {
	pool := open(t, threadpool.Config{})
	require.NoError(t, submit(t, pool, nothing).Err(t.Context()))
	for range 3 {
		assert.NoError(t, pool.Shutdown(t.Context()))
		assert.NoError(t, pool.Close())
		assert.NoError(t, pool.Shutdown(t.Context(), futures.CancelFutures()))
	}
}

// test_shutdown::test_hang_issue12364, rows E51 and T12
func TestShutdownFinishesWhatWasAccepted(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 2})
	var ran atomic.Int32
	var fs []*futures.Future[bool]
	for range 50 {
		fs = append(fs, submit(t, pool, func(context.Context) error { ran.Add(1); return nil }))
	}
	require.NoError(t, pool.Shutdown(t.Context()))
	assert.EqualValues(t, 50, ran.Load())
	for _, f := range fs {
		assert.NoError(t, f.Err(done(nil)), "settled before Shutdown returned")
	}
}

// test_shutdown::test_shutdown_no_wait, row E52: ctx bounds the wait and not the work
func TestShutdownWithADoneCtxDoesNotWait(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	g := newGate()
	runs, waits := submit(t, pool, g.wait), submit(t, pool, nothing)
	<-g.entered
	assert.Equal(t, errBoom, pool.Shutdown(done(errBoom)))
	assert.Equal(t, futures.Running, runs.State())
	assert.Equal(t, futures.Pending, waits.State())
	assert.Equal(t, futures.ErrShutdown, submit(t, pool, nothing).Err(done(nil)))
	g.open()
	assert.NoError(t, runs.Err(t.Context()))
	assert.NoError(t, waits.Err(t.Context()))
}

func TestShutdownGivesUpAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := open(t, threadpool.Config{MaxWorkers: 1})
		g := newGate()
		submit(t, pool, g.wait)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		assert.ErrorIs(t, pool.Shutdown(ctx), context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
		g.open()
	})
}

// A pool that is over is over, however short the patience.
func TestShutdownOfAPoolThatIsOverNeedsNoPatience(t *testing.T) {
	unused := open(t, threadpool.Config{})
	used := open(t, threadpool.Config{})
	require.NoError(t, submit(t, used, nothing).Err(t.Context()))
	require.NoError(t, used.Close())
	for range 100 {
		assert.NoError(t, unused.Shutdown(done(errBoom)))
		assert.NoError(t, used.Shutdown(done(errBoom)))
	}
}

// test_shutdown::test_cancel_futures and test_cancel_futures_wait_false, rows E53 and E54: what runs finishes, the rest
// is cancelled, and its waiters know
func TestShutdownMayCancelWhatHasNotStarted(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 2})
	finished := submit(t, pool, nothing)
	require.NoError(t, finished.Err(t.Context()))
	g := newGate()
	running := []*futures.Future[bool]{submit(t, pool, g.wait), submit(t, pool, g.wait)}
	<-g.entered
	<-g.entered
	var waiting []*futures.Future[bool]
	for range 10 {
		waiting = append(waiting, submit(t, pool, func(context.Context) error { panic("must not run") }))
	}
	assert.Equal(t, errBoom, pool.Shutdown(done(errBoom), futures.CancelFutures()))
	settled, pending, err := futures.Wait(t.Context(), waiting, futures.AllCompleted)
	assert.NoError(t, err)
	assert.Len(t, settled, 10)
	assert.Empty(t, pending)
	for _, f := range waiting {
		assert.Equal(t, futures.Cancelled, f.State())
		assert.Equal(t, futures.ErrCancelled, f.Err(t.Context()))
	}
	for _, f := range running {
		assert.Equal(t, futures.Running, f.State())
	}
	g.open()
	require.NoError(t, pool.Close())
	for _, f := range append(running, finished) {
		assert.NoError(t, f.Err(done(nil)))
	}
}

// row E59: a second Shutdown works fully
func TestALaterShutdownMayCancel(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	g := newGate()
	submit(t, pool, g.wait)
	<-g.entered
	waits := submit(t, pool, nothing)
	assert.Equal(t, errBoom, pool.Shutdown(done(errBoom)))
	assert.Equal(t, futures.Pending, waits.State())
	assert.Equal(t, errBoom, pool.Shutdown(done(errBoom), futures.CancelFutures()))
	assert.Equal(t, futures.Cancelled, waits.State())
	g.open()
	assert.NoError(t, pool.Shutdown(t.Context()))
}

// test_shutdown::test_context_manager_shutdown, row E55: a deferred Close finishes the work, also when the body panics
func TestADeferredCloseFinishesTheWork(t *testing.T) {
	var f *futures.Future[bool]
	assert.PanicsWithValue(t, "body", func() {
		pool, err := threadpool.New(threadpool.Config{MaxWorkers: 1})
		require.NoError(t, err)
		defer func() { assert.NoError(t, pool.Close()) }()
		submit(t, pool, nothing)
		f = submit(t, pool, nothing)
		panic("body")
	})
	assert.NoError(t, f.Err(done(nil)))
}

// test_shutdown::test_hang_gh94440, row E56: nothing but cancelled calls is left
func TestShutdownWithOnlyCancelledCalls(t *testing.T) {
	for range 100 {
		pool, err := threadpool.New(threadpool.Config{MaxWorkers: 1})
		require.NoError(t, err)
		f := submit(t, pool, nothing)
		g := submit(t, pool, nothing)
		g.Cancel()
		f.Cancel()
		require.NoError(t, pool.Close())
	}
}

// executor.py::ExecutorTest::test_shutdown_race_issue12456, row E57, and subtle point 13: a call that races with Shutdown
// is run or refused, never lost
func TestSubmitRacingWithShutdown(t *testing.T) {
	for round := range 50 {
		pool, err := threadpool.New(threadpool.Config{MaxWorkers: 3, MaxQueue: round % 3})
		require.NoError(t, err)
		var all sync.WaitGroup
		var ran atomic.Int32
		fs := make([]*futures.Future[bool], 40)
		for i := range fs {
			all.Go(func() { fs[i] = submit(t, pool, func(context.Context) error { ran.Add(1); return nil }) })
		}
		all.Go(func() { assert.NoError(t, pool.Close()) })
		all.Go(func() { assert.NoError(t, pool.Shutdown(context.Background())) })
		all.Wait()
		accepted := 0
		for _, f := range fs {
			switch err := f.Err(done(errBoom)); err {
			case nil:
				accepted++
			default:
				require.Equal(t, futures.ErrShutdown, err)
			}
		}
		require.EqualValues(t, accepted, ran.Load())
	}
}

func TestShutdownsAtTheSameTime(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 2})
	for range 20 {
		submit(t, pool, nothing)
	}
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			if i%2 == 0 {
				assert.NoError(t, pool.Close())
			} else {
				assert.NoError(t, pool.Shutdown(context.Background(), futures.CancelFutures()))
			}
		})
	}
	all.Wait()
}

// row E58: with the ctx of its own call Shutdown does not wait for itself. It begins all the same.
func TestShutdownInsideItsOwnWorker(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	g := newGate()
	f := submit(t, pool, func(ctx context.Context) error {
		_ = g.wait(ctx)
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		return pool.Shutdown(inner, futures.CancelFutures())
	})
	waits := submit(t, pool, nothing)
	g.open()
	assert.ErrorIs(t, f.Err(t.Context()), threadpool.ErrOwnWorker)
	assert.ErrorIs(t, waits.Err(t.Context()), futures.ErrCancelled)
	assert.ErrorIs(t, submit(t, pool, nothing).Err(t.Context()), futures.ErrShutdown)
	assert.NoError(t, pool.Close())
}

// A worker may shut another pool down.
func TestShutdownInsideAWorkerOfAnotherPool(t *testing.T) {
	pool, other := open(t, threadpool.Config{}), open(t, threadpool.Config{})
	require.NoError(t, submit(t, other, nothing).Err(t.Context()))
	assert.NoError(t, submit(t, pool, func(ctx context.Context) error { return other.Shutdown(ctx) }).Err(t.Context()))
}

// Nor by way of another pool: the call that waits for it there is still its own.
func TestShutdownByWayOfAnotherPool(t *testing.T) {
	pool, other := open(t, threadpool.Config{}), open(t, threadpool.Config{})
	err := submit(t, pool, func(ctx context.Context) error {
		return futures.Submit(ctx, other, do, func(ctx context.Context) error { return pool.Shutdown(ctx) }).Err(ctx)
	}).Err(t.Context())
	assert.ErrorIs(t, err, threadpool.ErrOwnWorker)
	assert.NoError(t, pool.Close())
}

// row T10, divergence: callbacks of a Shutdown that cancels run outside every lock. They may use the pool, and wait for
// calls that the same Shutdown cancels.
func TestCallbacksOfAShutdownMayUseThePool(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	g := newGate()
	submit(t, pool, g.wait)
	<-g.entered
	first, second := submit(t, pool, nothing), submit(t, pool, nothing)
	late := make(chan error, 1)
	first.OnDone(func(*futures.Future[bool]) {
		<-second.Done() // for ever, if the second had to wait for the callbacks of the first
		second.Cancel()
		f := submit(t, pool, nothing)
		late <- fmt.Errorf("%w, then %w", f.Err(context.Background()), pool.Shutdown(done(errBoom), futures.CancelFutures()))
	})
	assert.Equal(t, errBoom, pool.Shutdown(done(errBoom), futures.CancelFutures()))
	err := <-late
	assert.ErrorIs(t, err, futures.ErrShutdown)
	assert.ErrorIs(t, err, errBoom)
	g.open()
}

// rows F8 and F13: callbacks of results may submit, cancel and shut down, and wait for all of it
func TestCallbacksMayUseThePool(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	got := make(chan error, 3)
	g := newGate()
	f := submit(t, pool, g.wait)
	f.OnDone(func(*futures.Future[bool]) {
		next := submit(t, pool, nothing)
		got <- next.Err(context.Background())
		block := newGate()
		running := submit(t, pool, block.wait)
		<-block.entered
		victim := submit(t, pool, nothing)
		victim.Cancel()
		got <- victim.Err(context.Background())
		block.open()
		<-running.Done()
		got <- pool.Close()
	})
	g.open()
	assert.NoError(t, <-got)
	assert.ErrorIs(t, <-got, futures.ErrCancelled)
	assert.NoError(t, <-got)
}

// A slow callback keeps neither its worker nor Close.
func TestASlowCallbackKeepsNobody(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	start, release, over := newGate(), make(chan struct{}), make(chan struct{})
	f := submit(t, pool, start.wait)
	f.OnDone(func(*futures.Future[bool]) { <-release; close(over) })
	start.open()
	assert.NoError(t, submit(t, pool, nothing).Err(t.Context()))
	assert.NoError(t, pool.Close())
	close(release)
	<-over
}
