package threadpool_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/threadpool"
)

// initializer binds a body without an argument.
func initializer(body func(context.Context) error) futures.Bound { return futures.Bind(do, body) }

// test_init::ThreadPoolInitializerTest::test_initializer, row T7
func TestTheInitializerRunsOnceInEachWorkerBeforeItsFirstCall(t *testing.T) {
	var initialized atomic.Int32
	pool := open(t, threadpool.Config{MaxWorkers: 2, Initializer: initializer(func(context.Context) error { initialized.Add(1); return nil })})
	assert.Zero(t, initialized.Load(), "New starts no worker")
	require.NoError(t, submit(t, pool, func(context.Context) error {
		if initialized.Load() == 0 {
			return errBoom
		}
		return nil
	}).Err(t.Context()))
	g := newGate()
	submit(t, pool, g.wait)
	submit(t, pool, g.wait)
	<-g.entered
	<-g.entered
	g.open()
	require.NoError(t, pool.Shutdown(t.Context()))
	assert.EqualValues(t, 2, initialized.Load())
}

// test_init::ThreadPoolFailingInitializerTest::test_initializer, rows T8 and E6
func TestAFailedInitializerBreaksThePool(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{
		"error":  func(context.Context) error { return errBoom },
		"panic":  func(context.Context) error { panic("doh!") },
		"goexit": func(context.Context) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			g := newGate()
			pool := open(t, threadpool.Config{
				MaxWorkers:  1,
				Logger:      slog.New(slog.NewTextHandler(&log, nil)),
				Initializer: initializer(func(ctx context.Context) error { _ = g.wait(ctx); return fail(ctx) }),
			})
			var fs []*futures.Future[bool]
			for range 3 {
				fs = append(fs, submit(t, pool, func(context.Context) error { panic("must not run") }))
			}
			g.open()
			for _, f := range fs {
				err := f.Err(t.Context())
				assert.ErrorIs(t, err, threadpool.ErrBrokenThreadPool)
				assert.ErrorIs(t, err, futures.ErrBrokenExecutor)
				var task *futures.TaskError
				assert.ErrorAs(t, err, &task, "the reason is in the chain")
			}
			assert.ErrorIs(t, submit(t, pool, nothing).Err(done(nil)), threadpool.ErrBrokenThreadPool)
			require.NoError(t, pool.Close())
			assert.ErrorIs(t, submit(t, pool, nothing).Err(done(nil)), threadpool.ErrBrokenThreadPool, "broken outdoes shut down")
			assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("the initializer failed")))
		})
	}
}

// row T9, divergence: a cancelled call in the queue does not strand the others
func TestAFailedInitializerLeavesCancelledCallsCancelled(t *testing.T) {
	g := newGate()
	pool := open(t, threadpool.Config{MaxWorkers: 1, Logger: quiet, Initializer: initializer(func(ctx context.Context) error {
		_ = g.wait(ctx)
		return errBoom
	})})
	first, second, third := submit(t, pool, nothing), submit(t, pool, nothing), submit(t, pool, nothing)
	require.True(t, second.Cancel())
	g.open()
	assert.ErrorIs(t, first.Err(t.Context()), threadpool.ErrBrokenThreadPool)
	assert.Equal(t, futures.ErrCancelled, second.Err(t.Context()))
	assert.ErrorIs(t, third.Err(t.Context()), threadpool.ErrBrokenThreadPool)
}

// row T10, divergence: callbacks may use the pool that broke
func TestCallbacksOfABrokenPoolMayUseIt(t *testing.T) {
	g := newGate()
	pool := open(t, threadpool.Config{MaxWorkers: 1, Logger: quiet, Initializer: initializer(func(ctx context.Context) error {
		_ = g.wait(ctx)
		return errBoom
	})})
	first, second := submit(t, pool, nothing), submit(t, pool, nothing)
	late := make(chan error, 1)
	first.OnDone(func(*futures.Future[bool]) {
		<-second.Done() // settled by the same failure
		late <- fmt.Errorf("%w, then %w", submit(t, pool, nothing).Err(context.Background()), pool.Close())
	})
	g.open()
	assert.ErrorIs(t, <-late, threadpool.ErrBrokenThreadPool)
}

// row T8: calls that run in other workers finish
func TestABrokenPoolLetsRunningCallsFinish(t *testing.T) {
	var workers atomic.Int32
	pool := open(t, threadpool.Config{MaxWorkers: 2, Logger: quiet, Initializer: initializer(func(context.Context) error {
		if workers.Add(1) > 1 {
			return errBoom
		}
		return nil
	})})
	g := newGate()
	runs := submit(t, pool, g.wait)
	<-g.entered
	breaks := submit(t, pool, nothing)
	assert.ErrorIs(t, breaks.Err(t.Context()), threadpool.ErrBrokenThreadPool)
	assert.Equal(t, futures.Running, runs.State())
	g.open()
	assert.NoError(t, runs.Err(t.Context()))
	assert.NoError(t, pool.Close())
}

// A pool may break after it was shut down: what it still owed fails, and nobody waits for ever.
func TestAPoolThatBreaksAfterItsShutdown(t *testing.T) {
	g := newGate()
	pool := open(t, threadpool.Config{MaxWorkers: 1, Logger: quiet, Initializer: initializer(func(ctx context.Context) error {
		_ = g.wait(ctx)
		return errBoom
	})})
	f := submit(t, pool, nothing)
	assert.Equal(t, errBoom, pool.Shutdown(done(errBoom)))
	g.open()
	assert.ErrorIs(t, f.Err(t.Context()), threadpool.ErrBrokenThreadPool)
	assert.NoError(t, pool.Close())
	assert.ErrorIs(t, submit(t, pool, nothing).Err(done(nil)), threadpool.ErrBrokenThreadPool)
}

// Several workers may fail at once.
func TestEveryInitializerFails(t *testing.T) {
	for range 50 {
		pool, err := threadpool.New(threadpool.Config{MaxWorkers: 4, Logger: quiet, Initializer: initializer(func(context.Context) error { return errBoom })})
		require.NoError(t, err)
		for range 8 {
			f := submit(t, pool, nothing)
			defer func() { assert.ErrorIs(t, f.Err(done(nil)), futures.ErrBrokenExecutor) }()
		}
		require.NoError(t, pool.Close())
	}
}

// row E58 for initializers
func TestTheInitializerCannotWaitForItsOwnPool(t *testing.T) {
	var pool *threadpool.ThreadPoolExecutor
	var got error
	pool = open(t, threadpool.Config{MaxWorkers: 1, Initializer: initializer(func(ctx context.Context) error {
		got = pool.Shutdown(ctx)
		return nil
	})})
	assert.NoError(t, submit(t, pool, nothing).Err(t.Context()), "it was accepted before the shutdown")
	assert.Equal(t, threadpool.ErrOwnWorker, got)
}
