//go:build linux

package procpool_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// Shutdown refuses new calls and finishes all that were accepted, running and waiting.
func TestShutdownDrains(t *testing.T) {
	clean(t)
	g, m := newGate(t), newMarks(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 2})
	running := futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	worker := g.pid()
	var waiting []*futures.Future[int]
	for n := range 30 {
		waiting = append(waiting, futures.Submit(context.Background(), pool, mark, marking{File: m.path, N: n}))
	}
	closed := make(chan error, 1)
	go func() { closed <- pool.Close() }()
	for { // until Shutdown has begun
		_, err := futures.Submit(context.Background(), pool, echo, "").Result(bounded(t))
		if errors.Is(err, futures.ErrShutdown) {
			break
		}
		require.NoError(t, err)
	}
	for n, f := range waiting {
		got, err := f.Result(bounded(t))
		require.NoError(t, err)
		assert.Equal(t, n, got)
	}
	select {
	case err := <-closed:
		require.Fail(t, "Close returned while a call ran", "%v", err)
	default:
	}
	g.open(1)
	require.NoError(t, <-closed)
	select {
	case <-running.Done():
	default:
		require.Fail(t, "Close returned before the call was settled")
	}
	got, err := running.Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, worker, got)
	assert.Empty(t, remains.Children(t, os.Getpid()), "Close returned before the workers were gone")
	assert.Len(t, m.read(), 30)
}

// ctx bounds the wait and not the work; a later Shutdown may wait longer, or cancel what waits.
func TestTheSecondShutdownUpgradesTheFirst(t *testing.T) {
	clean(t)
	g := newGate(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	running := futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	g.pid()
	waiting := futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	cancel(enough)
	require.ErrorIs(t, pool.Shutdown(ctx), enough)
	assert.Equal(t, futures.Running, running.State())
	assert.Equal(t, futures.Pending, waiting.State())

	require.ErrorIs(t, pool.Shutdown(ctx, futures.CancelFutures()), enough)
	_, err := waiting.Result(bounded(t))
	require.ErrorIs(t, err, futures.ErrCancelled)
	assert.Equal(t, futures.Running, running.State(), "CancelFutures took a running call")
	g.open(1)
	_, err = running.Result(bounded(t))
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, pool.Close())
		require.NoError(t, pool.Shutdown(ctx), "what is over is over, whatever ctx says")
	}
	pool.KillWorkers()
	pool.TerminateWorkers()
	require.NoError(t, pool.Close())
}

// Every call that races with Shutdown is settled: it ran, or it was refused, or it was cancelled.
func TestSubmitRacesWithShutdown(t *testing.T) {
	for _, opts := range [][]futures.ShutdownOption{nil, {futures.CancelFutures()}} {
		t.Run(map[int]string{0: "drain", 1: "cancel"}[len(opts)], func(t *testing.T) {
			clean(t)
			m := newMarks(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 2})
			warmMark(t, pool)
			const submitters, each = 4, 150
			calls := make([]*futures.Future[int], submitters*each)
			var all sync.WaitGroup
			begun := make(chan struct{}, submitters)
			for s := range submitters {
				all.Go(func() {
					for n := range each {
						calls[s*each+n] = futures.Submit(context.Background(), pool, mark, marking{File: m.path, N: s*each + n})
						if n == each/4 {
							begun <- struct{}{}
						}
					}
				})
			}
			<-begun
			for range 3 {
				all.Go(func() { assert.NoError(t, pool.Shutdown(bounded(t), opts...)) })
			}
			all.Wait()
			ran := m.read()
			accepted := 0
			for n, f := range calls {
				_, err := f.Result(bounded(t))
				switch {
				case err == nil:
					accepted++
					assert.Equal(t, 1, ran[n])
				case errors.Is(err, futures.ErrCancelled):
					assert.NotEmpty(t, opts, "a call was cancelled although Shutdown drains")
					assert.Zero(t, ran[n])
				default:
					require.ErrorIs(t, err, futures.ErrShutdown)
					assert.Zero(t, ran[n])
				}
			}
			t.Logf("%d of %d ran", accepted, len(calls))
		})
	}
}

// G4: a frozen worker costs KillGrace, idle or busy.
func TestAFrozenWorkerCostsKillGraceAtClose(t *testing.T) {
	clean(t)
	const grace = 500 * time.Millisecond
	pool := newPool(t, procpool.Config{MaxWorkers: 2, KillGrace: grace})
	n, err := futures.Submit(context.Background(), pool, pid, none{}).Result(bounded(t))
	require.NoError(t, err)
	freeze(t, n)
	began := time.Now()
	mustClose(t, pool)
	took := time.Since(began)
	assert.GreaterOrEqual(t, took, grace)
	assert.Less(t, took, grace+2*time.Second)
	assert.Zero(t, pool.Stats().Crashed, "a worker that was let go was taken for a crash")
}

// A call that was accepted is finished by a worker that is started for it, although the pool has shut down and its worker died.
func TestACrashAfterShutdown(t *testing.T) {
	for _, policy := range []procpool.CrashPolicy{procpool.BreakPool, procpool.ReplaceWorker} {
		t.Run(policy.String(), func(t *testing.T) {
			clean(t)
			g := newGate(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: policy})
			running := futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
			victim := g.pid()
			waiting := futures.Submit(context.Background(), pool, echo, "x")
			done, cancel := context.WithCancel(context.Background())
			cancel()
			require.ErrorIs(t, pool.Shutdown(done), context.Canceled)
			require.NoError(t, unix.Kill(victim, unix.SIGKILL))
			mustClose(t, pool)
			var crash *procpool.WorkerCrashError
			_, err := running.Result(bounded(t))
			require.ErrorAs(t, err, &crash)
			_, err = waiting.Result(bounded(t))
			if policy == procpool.ReplaceWorker {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
			}
		})
	}
}

// Close from a callback waits for nothing that waits for it.
func TestCloseFromACallback(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	closed := make(chan error, 1)
	f := futures.Submit(context.Background(), pool, echo, "x")
	f.OnDone(func(*futures.Future[string]) { closed <- pool.Close() })
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-bounded(t).Done():
		require.Fail(t, "Close in a callback waits for the callback")
	}
}

// A call that was cancelled on its way to a frozen worker is still owed an answer, which never comes.
func TestAFrozenWorkerThatWasSentACancelledCallCostsKillGrace(t *testing.T) {
	const grace = 300 * time.Millisecond
	for _, how := range []string{"close", "next call"} {
		t.Run(how, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, KillGrace: grace})
			frozen, err := futures.Submit(context.Background(), pool, pid, none{}).Result(bounded(t))
			require.NoError(t, err)
			freeze(t, frozen)
			f := futures.Submit(context.Background(), pool, pid, none{})
			require.Equal(t, 1, pool.Stats().Sent)
			require.True(t, f.Cancel())
			if how == "close" {
				mustClose(t, pool)
				return
			}
			n, err := futures.Submit(context.Background(), pool, pid, none{}).Result(bounded(t))
			require.NoError(t, err)
			assert.NotEqual(t, frozen, n)
		})
	}
}

// Row P48: a worker that dies while a big argument is written to it holds up nobody.
func TestACrashWhileABigArgumentIsWritten(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	frozen, err := futures.Submit(context.Background(), pool, pid, none{}).Result(bounded(t))
	require.NoError(t, err)
	freeze(t, frozen)
	f := futures.Submit(context.Background(), pool, echo, strings.Repeat("x", 8<<20))
	require.NoError(t, unix.Kill(frozen, unix.SIGKILL))
	_, err = f.Result(bounded(t))
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	assert.Equal(t, frozen, crash.PID)
	mustClose(t, pool)
}
