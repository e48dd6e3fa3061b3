//go:build linux

package procpool_test

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

func TestTheInitializerRunsOnceInEachWorker(t *testing.T) {
	clean(t)
	m, g := newMarks(t), newGate(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 2, Initializer: futures.Bind(initialize, preparation{File: m.path})})
	for range 4 {
		futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	}
	g.pid()
	g.pid()
	assert.Equal(t, map[int]int{0: 2}, m.read())
	g.open(4)
	mustClose(t, pool)
	assert.Equal(t, map[int]int{0: 2}, m.read())
}

// crashed is how the error of a worker that was lost in its initializer has to look.
func crashed(code int, signal syscall.Signal) func(*testing.T, error) {
	return func(t *testing.T, err error) {
		t.Helper()
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, err, &crash)
		assert.Equal(t, code, crash.ExitCode)
		assert.Equal(t, signal, crash.Signal)
		assert.Equal(t, "test.Initialize", crash.Func)
		assert.Equal(t, 1, crash.Attempt)
		assert.Positive(t, crash.MaxRSS)
	}
}

func TestAFailingInitializerBreaksThePool(t *testing.T) {
	for _, c := range []struct {
		name   string
		p      preparation
		within time.Duration
		says   string
		is     func(*testing.T, error)
	}{
		{"fails", preparation{Way: "fail"}, patience, "known on both sides", func(t *testing.T, err error) {
			assert.ErrorIs(t, err, errKnown)
		}},
		{"panics", preparation{Way: "panic"}, patience, "a remote panic", func(t *testing.T, err error) {
			var failed *futures.TaskError
			require.ErrorAs(t, err, &failed)
			assert.Contains(t, failed.Stack, "panicDeepInside")
		}},
		{"hangs", preparation{Way: "hang"}, time.Second, "it took longer than Config.StartTimeout (1s)", func(t *testing.T, err error) {
			crashed(-1, syscall.SIGQUIT)(t, err)
			var crash *procpool.WorkerCrashError
			require.ErrorAs(t, err, &crash)
			assert.Contains(t, crash.Goroutines, "workers_test.go", "it does not say where")
		}},
		{"exits", preparation{Way: "perish", Fate: fate{"exit", 3}}, patience, "worker was lost", crashed(3, 0)},
		{"is killed", preparation{Way: "perish", Fate: fate{"signal", 9}}, patience, "worker was lost", crashed(-1, syscall.SIGKILL)},
		{"writes garbage", preparation{Way: "perish", Fate: fate{"garbage", 0}}, patience, "protocol error", nil},
	} {
		for _, policy := range []procpool.CrashPolicy{procpool.BreakPool, procpool.ReplaceWorker} {
			if policy == procpool.ReplaceWorker && c.p.Way != "fail" && c.p.Fate.Way != "exit" {
				continue // the pool sees no difference
			}
			t.Run(c.name+" "+policy.String(), func(t *testing.T) {
				clean(t)
				pool := newPool(t, procpool.Config{MaxWorkers: 2, OnCrash: policy, StartTimeout: c.within, Initializer: futures.Bind(initialize, c.p)})
				calls := []*futures.Future[string]{
					futures.Submit(context.Background(), pool, echo, "a"),
					futures.Submit(context.Background(), pool, echo, "b"),
					futures.Submit(context.Background(), pool, echo, "c"),
				}
				for _, f := range calls {
					_, err := f.Result(bounded(t))
					require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
					var failed *procpool.InitializerError
					require.ErrorAs(t, err, &failed)
					assert.Equal(t, "test.Initialize", failed.Func)
					assert.NotZero(t, failed.PID)
					assert.ErrorContains(t, err, c.says)
					if c.is != nil {
						c.is(t, err)
					}
					if c.p.Way == "perish" {
						assert.Contains(t, failed.Stderr, "about to perish")
					}
				}
				_, err := futures.Submit(context.Background(), pool, echo, "late").Result(bounded(t))
				require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
				mustClose(t, pool)
				assert.Empty(t, remains.Children(t, os.Getpid()), "a broken pool keeps processes")
			})
		}
	}
}
