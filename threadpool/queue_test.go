package threadpool_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/threadpool"
)

// full is a pool of one worker, which the gate keeps busy, and a queue of n that is full.
func full(t *testing.T, n int) (*threadpool.ThreadPoolExecutor, *gate, []*futures.Future[bool]) {
	pool := open(t, threadpool.Config{MaxWorkers: 1, MaxQueue: n})
	g := newGate()
	submit(t, pool, g.wait)
	<-g.entered
	var waiting []*futures.Future[bool]
	for range n {
		waiting = append(waiting, submit(t, pool, nothing))
	}
	return pool, g, waiting
}

// blocked starts a Submit that has to wait for room.
func blocked(t *testing.T, ctx context.Context, pool futures.Executor) <-chan *futures.Future[bool] {
	submitted := make(chan *futures.Future[bool], 1)
	go func() { submitted <- futures.Submit(ctx, pool, do, nothing) }()
	synctest.Wait()
	select {
	case <-submitted:
		assert.Fail(t, "Submit found room in a full queue")
	default:
	}
	return submitted
}

func TestSubmitWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, g, _ := full(t, 3)
		submitted := blocked(t, t.Context(), pool)
		g.open()
		assert.NoError(t, (<-submitted).Err(t.Context()))
	})
}

// Only calls that wait take room, not those that run.
func TestARunningCallTakesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := open(t, threadpool.Config{MaxWorkers: 2, MaxQueue: 1})
		g := newGate()
		for range 2 {
			submit(t, pool, g.wait)
			synctest.Wait()
		}
		submit(t, pool, nothing)
		blocked(t, t.Context(), pool)
		g.open()
	})
}

func TestACancelledCallMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, g, waiting := full(t, 2)
		submitted := blocked(t, t.Context(), pool)
		require.True(t, waiting[0].Cancel())
		f := <-submitted
		assert.Equal(t, futures.Pending, f.State())
		blocked(t, t.Context(), pool) // and one only
		g.open()
		assert.NoError(t, f.Err(t.Context()))
	})
}

func TestACallWhoseCtxIsDoneMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := open(t, threadpool.Config{MaxWorkers: 1, MaxQueue: 1})
		g := newGate()
		submit(t, pool, g.wait)
		<-g.entered
		ctx, cancel := context.WithCancel(t.Context())
		queued := futures.Submit(ctx, pool, do, nothing)
		submitted := blocked(t, t.Context(), pool)
		cancel()
		assert.Equal(t, futures.Pending, (<-submitted).State())
		assert.ErrorIs(t, queued.Err(t.Context()), futures.ErrCancelled)
		g.open()
	})
}

// late cancels each call before it hands it on.
type late struct{ *threadpool.ThreadPoolExecutor }

func (l late) Submit(c futures.Call) {
	c.Cancel()
	l.ThreadPoolExecutor.Submit(c)
}

func TestACallThatWasCancelledOnItsWayTakesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, g, waiting := full(t, 1)
		waiting[0].Cancel()
		assert.Equal(t, futures.Cancelled, submit(t, late{pool}, nothing).State())
		f := submit(t, pool, nothing) // for ever, if there were no room
		g.open()
		assert.NoError(t, f.Err(t.Context()))
	})
}

func TestTheCtxEndsTheWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, g, _ := full(t, 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		submitted := blocked(t, ctx, pool)
		cancel(errBoom)
		err := (<-submitted).Err(t.Context())
		assert.ErrorIs(t, err, futures.ErrCancelled)
		assert.ErrorIs(t, err, errBoom)
		g.open()
	})
}

func TestShutdownEndsTheWaitForRoom(t *testing.T) {
	for name, opts := range map[string][]futures.ShutdownOption{"finish": nil, "cancel": {futures.CancelFutures()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pool, g, waiting := full(t, 1)
				one, two := blocked(t, t.Context(), pool), blocked(t, t.Context(), pool)
				assert.Equal(t, errBoom, pool.Shutdown(done(errBoom), opts...))
				assert.Equal(t, futures.ErrShutdown, (<-one).Err(t.Context()))
				assert.Equal(t, futures.ErrShutdown, (<-two).Err(t.Context()))
				g.open()
				assert.NoError(t, pool.Close())
				if opts == nil {
					assert.NoError(t, waiting[0].Err(done(nil)))
				} else {
					assert.ErrorIs(t, waiting[0].Err(done(nil)), futures.ErrCancelled)
				}
			})
		})
	}
}

func TestABrokenPoolEndsTheWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		pool := open(t, threadpool.Config{MaxWorkers: 1, MaxQueue: 1, Logger: quiet, Initializer: initializer(func(ctx context.Context) error {
			_ = g.wait(ctx)
			return errBoom
		})})
		submit(t, pool, nothing)
		submitted := blocked(t, t.Context(), pool)
		g.open()
		assert.ErrorIs(t, (<-submitted).Err(t.Context()), threadpool.ErrBrokenThreadPool)
	})
}

// A Map over a bounded queue goes on as room comes, and a break leaves the queue empty.
func TestMapOverABoundedQueue(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 2, MaxQueue: 1})
	double := futures.NewFunc("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	inputs := func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}
	next := 0
	for value, err := range futures.Map(t.Context(), pool, double, inputs, futures.Buffersize(8)) {
		require.NoError(t, err)
		require.Equal(t, 2*next, value)
		if next++; next == 100 {
			break
		}
	}
	assert.NoError(t, submit(t, pool, nothing).Err(t.Context()))
}
