//go:build linux

package procpool_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

var terminations = map[string]func(*procpool.ProcessPoolExecutor){
	"TerminateWorkers": (*procpool.ProcessPoolExecutor).TerminateWorkers,
	"KillWorkers":      (*procpool.ProcessPoolExecutor).KillWorkers,
}

// Row P64: there is nothing to end, and the pool is shut down all the same.
func TestTerminationBeforeAnyWorker(t *testing.T) {
	for name, terminate := range terminations {
		t.Run(name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1})
			terminate(pool)
			_, err := futures.Submit(context.Background(), pool, echo, "").Result(bounded(t))
			require.ErrorIs(t, err, futures.ErrShutdown)
			terminate(pool)
			mustClose(t, pool)
			assert.Zero(t, pool.Stats().Started)
		})
	}
}

// Row P64: dead workers and broken pools are no error.
func TestTerminationOfABrokenPool(t *testing.T) {
	for name, terminate := range terminations {
		t.Run(name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1})
			_, err := futures.Submit(context.Background(), pool, perish, fate{"exit", 1}).Result(bounded(t))
			require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
			terminate(pool)
			_, err = futures.Submit(context.Background(), pool, echo, "").Result(bounded(t))
			require.ErrorIs(t, err, procpool.ErrBrokenProcessPool, "being broken outdoes being shut down")
			mustClose(t, pool)
		})
	}
}

// Rows P63 and P65: running calls die, waiting ones are cancelled, nothing is accepted, and none of it waits.
func TestTermination(t *testing.T) {
	for name, terminate := range terminations {
		t.Run(name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 2, OnCrash: procpool.ReplaceWorker, KillGrace: patience})
			g := newGate(t)
			ctx := context.Background()
			a := futures.Submit(ctx, pool, hold, held{Gate: g.path, Deaf: true}, futures.Retries(3))
			first := g.pid()
			b := futures.Submit(ctx, pool, spin, held{Gate: g.path})
			second := g.pid()
			waiting := futures.Submit(ctx, pool, pid, none{})
			terminate(pool)
			_, err := waiting.Result(bounded(t))
			require.ErrorIs(t, err, futures.ErrCancelled)
			for f, pid := range map[*futures.Future[int]]int{a: first, b: second} {
				_, err := f.Result(bounded(t))
				require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
				var crash *procpool.WorkerCrashError
				require.ErrorAs(t, err, &crash)
				assert.Equal(t, pid, crash.PID)
				if name == "KillWorkers" {
					assert.Equal(t, syscall.SIGKILL, crash.Signal)
				} else {
					assert.Equal(t, syscall.SIGTERM, crash.Signal)
				}
				assert.ErrorContains(t, err, "terminated")
			}
			_, err = futures.Submit(ctx, pool, pid, none{}).Result(bounded(t))
			require.ErrorIs(t, err, futures.ErrShutdown)
			mustClose(t, pool)
			assert.Equal(t, 2, pool.Stats().Started)
			assert.Zero(t, pool.Stats().Crashed)
		})
	}
}

// A worker that does not listen to SIGTERM costs KillGrace; one that is killed costs nothing.
func TestTerminationOfAWorkerThatIgnoresSIGTERM(t *testing.T) {
	const grace = 500 * time.Millisecond
	for name, terminate := range terminations {
		t.Run(name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, KillGrace: grace})
			g := newGate(t)
			_, err := futures.Submit(context.Background(), pool, ignoreTerm, none{}).Result(bounded(t))
			require.NoError(t, err)
			f := futures.Submit(context.Background(), pool, hold, held{Gate: g.path, Deaf: true})
			pid := g.pid()
			began := time.Now()
			terminate(pool)
			_, err = f.Result(bounded(t))
			took := time.Since(began)
			var crash *procpool.WorkerCrashError
			require.ErrorAs(t, err, &crash)
			assert.Equal(t, syscall.SIGKILL, crash.Signal)
			if name == "TerminateWorkers" {
				assert.GreaterOrEqual(t, took, grace)
			} else {
				assert.Less(t, took, grace)
			}
			assert.True(t, remains.AwaitEnd(t, pid, time.Second))
		})
	}
}

// A worker may use SIGTERM to clean up, and KillWorkers outdoes a TerminateWorkers that is under way.
func TestKillWorkersOutdoesTerminateWorkers(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, KillGrace: time.Hour})
	g := newGate(t)
	f := futures.Submit(context.Background(), pool, closeOnTerm, g.path)
	pid := g.pid()
	pool.TerminateWorkers()
	assert.Equal(t, "SIGTERM", g.hear())
	assert.NoError(t, unix.Kill(pid, 0))
	pool.KillWorkers()
	_, err := f.Result(bounded(t))
	require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
	mustClose(t, pool)
}

// A worker that joins its host's process group is ended like any other: by who kills it, and by the timeout of its call.
func TestAWorkerThatLeavesItsGroupIsEnded(t *testing.T) {
	leave := func(t *testing.T, opts ...futures.CallOption) (*procpool.ProcessPoolExecutor, *futures.Future[int], int) {
		clean(t)
		pool := newPool(t, procpool.Config{MaxWorkers: 1, KillGrace: 100 * time.Millisecond, OnCrash: procpool.ReplaceWorker})
		g := newGate(t)
		f := futures.Submit(context.Background(), pool, desert, held{Gate: g.path, Deaf: true}, opts...)
		return pool, f, g.pid()
	}
	t.Run("KillWorkers", func(t *testing.T) {
		pool, f, pid := leave(t)
		pool.KillWorkers()
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, f.Err(bounded(t)), &crash)
		assert.Equal(t, pid, crash.PID)
		assert.Equal(t, syscall.SIGKILL, crash.Signal)
		mustClose(t, pool)
		assert.True(t, remains.AwaitEnd(t, pid, time.Second))
	})
	t.Run("Timeout", func(t *testing.T) {
		pool, f, pid := leave(t, futures.Timeout(100*time.Millisecond))
		err := f.Err(bounded(t))
		require.ErrorIs(t, err, futures.ErrTimeout)
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, err, &crash)
		assert.Equal(t, syscall.SIGKILL, crash.Signal)
		mustClose(t, pool)
		assert.True(t, remains.AwaitEnd(t, pid, time.Second))
	})
}
