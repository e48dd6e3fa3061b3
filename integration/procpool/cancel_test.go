//go:build linux

package procpool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A storm of calls that are sent ahead in batches while others cancel them: one that was cancelled has not run, and every
// other has run exactly once.
func TestCancelIsExactUnderBatching(t *testing.T) {
	clean(t)
	const calls = 4000
	m := newMarks(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 2})
	warmMark(t, pool)
	all := make([]*futures.Future[int], calls)
	var cancellers sync.WaitGroup
	for n := range all {
		all[n] = futures.Submit(context.Background(), pool, mark, marking{File: m.path, N: n})
		if n%100 == 99 {
			batch := all[n-99 : n+1]
			cancellers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(n), 1))
				for range 60 {
					batch[random.IntN(len(batch))].Cancel()
				}
			})
		}
	}
	cancellers.Wait()
	ran, cancelled := make([]bool, calls), 0
	for n, f := range all {
		got, err := f.Result(bounded(t))
		if errors.Is(err, futures.ErrCancelled) {
			cancelled++
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, n, got)
		ran[n] = true
	}
	mustClose(t, pool)
	marked := m.read()
	for n := range all {
		if ran[n] {
			assert.Equal(t, 1, marked[n], "call %d", n)
		} else {
			assert.Zero(t, marked[n], "call %d was cancelled and has run", n)
		}
	}
	assert.Positive(t, cancelled, "nothing was cancelled in time: the test says nothing")
	assert.Less(t, cancelled, calls, "everything was cancelled: the test says nothing")
	t.Logf("%d of %d cancelled", cancelled, calls)
}

// Cancel and ctx together with workers that are killed at any moment: at most one mark for each call, one for each that has a
// result, none for one that was cancelled.
func TestNoCallRunsTwiceWhateverDies(t *testing.T) {
	clean(t)
	const calls = 3000
	m := newMarks(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 2, OnCrash: procpool.ReplaceWorker, MaxCrashes: 1 << 20})
	warmMark(t, pool)
	random := rand.New(rand.NewPCG(20240607, 2))
	all := make([]*futures.Future[int], calls)
	for n := range all {
		all[n] = futures.Submit(context.Background(), pool, mark, marking{File: m.path, N: n})
		switch {
		case n%400 == 399:
			if pids := pool.Stats().PIDs; len(pids) > 0 {
				_ = unix.Kill(pids[random.IntN(len(pids))], unix.SIGKILL) // it may have gone
			}
			_, _ = all[random.IntN(n)].Result(bounded(t)) // so that the storm does not outrun the workers
		case n%7 == 6:
			all[random.IntN(n)].Cancel()
		}
	}
	counts := make(map[string]int)
	outcome := make([]string, calls)
	for n, f := range all {
		got, err := f.Result(bounded(t))
		var crash *procpool.WorkerCrashError
		switch {
		case err == nil:
			assert.Equal(t, n, got)
			outcome[n] = "finished"
		case errors.Is(err, futures.ErrCancelled):
			outcome[n] = "cancelled"
		default:
			require.ErrorAs(t, err, &crash)
			outcome[n] = "crashed"
		}
		counts[outcome[n]]++
	}
	mustClose(t, pool)
	marked := m.read()
	for n := range all {
		switch outcome[n] {
		case "finished":
			assert.Equal(t, 1, marked[n], "call %d", n)
		case "cancelled":
			assert.Zero(t, marked[n], "call %d was cancelled and has run", n)
		case "crashed":
			assert.LessOrEqual(t, marked[n], 1, "call %d has run twice", n)
		}
	}
	assert.Positive(t, counts["cancelled"])
	assert.Positive(t, pool.Stats().Crashed)
	t.Log(counts, pool.Stats().Crashed)
}

func TestCancelOfARunningCallIsRefused(t *testing.T) {
	clean(t)
	g := newGate(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	f := futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	g.pid()
	assert.False(t, f.Cancel())
	assert.Equal(t, futures.Running, f.State())
	g.open(1)
	_, err := f.Result(bounded(t))
	require.NoError(t, err)
}

// A call that was sent ahead behind one that turns out to be long can be cancelled, and is handed to another worker otherwise.
func TestCallsBehindALongOneAreNotStuck(t *testing.T) {
	clean(t)
	m := newMarks(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	warmMark(t, pool)
	long := futures.Submit(context.Background(), pool, mark, marking{File: m.path, N: 1, Nap: 500 * time.Millisecond})
	behind := futures.Submit(context.Background(), pool, mark, marking{File: m.path, N: 2})
	assert.True(t, behind.Cancel())
	_, err := long.Result(bounded(t))
	require.NoError(t, err)
	mustClose(t, pool)
	assert.Equal(t, map[int]int{1: 1}, m.read())
}

// What ends a call reaches the ctx of the function, with its reason.
func TestTheReasonReachesARunningCall(t *testing.T) {
	for _, c := range []struct {
		name  string
		ctx   func(context.Context) (context.Context, context.CancelFunc)
		end   bool
		opts  []futures.CallOption
		cause string
		is    []error
		bound bool
	}{
		{"cancelled", context.WithCancel, true, nil, context.Canceled.Error(), []error{context.Canceled}, false},
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, false, nil, context.DeadlineExceeded.Error(), []error{context.DeadlineExceeded}, true},
		{"timeout", context.WithCancel, false, []futures.CallOption{futures.Timeout(300 * time.Millisecond)}, futures.ErrTimeout.Error(),
			[]error{futures.ErrTimeout}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			g := newGate(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, KillGrace: patience})
			before, err := futures.Submit(context.Background(), pool, pid, none{}).Result(bounded(t))
			require.NoError(t, err)
			ctx, cancel := c.ctx(context.Background())
			defer cancel()
			f := futures.Submit(ctx, pool, await, g.path, c.opts...)
			assert.Equal(t, c.bound, g.hear() == "deadline: true")
			if c.end {
				cancel()
			}
			assert.Equal(t, c.cause, g.hear())
			_, err = f.Result(bounded(t))
			var failed *futures.TaskError
			require.ErrorAs(t, err, &failed)
			for _, is := range c.is {
				assert.ErrorIs(t, err, is)
			}
			after, err := futures.Submit(context.Background(), pool, pid, none{}).Result(bounded(t))
			require.NoError(t, err)
			assert.Equal(t, before, after, "a call that listened cost its worker")
		})
	}
}

// A call that does not listen costs its worker after KillGrace, and nobody else anything, whatever OnCrash says.
func TestACallThatDoesNotListenIsKilledAfterKillGrace(t *testing.T) {
	const grace, timeout = 300 * time.Millisecond, 200 * time.Millisecond
	for _, policy := range []procpool.CrashPolicy{procpool.BreakPool, procpool.ReplaceWorker} {
		for _, how := range []string{"ctx", "timeout", "frozen", "spinning"} {
			if policy == procpool.ReplaceWorker && how != "timeout" {
				continue // the pool sees no difference
			}
			t.Run(policy.String()+" "+how, func(t *testing.T) {
				clean(t)
				g, other := newGate(t), newGate(t)
				pool := newPool(t, procpool.Config{MaxWorkers: 2, KillGrace: grace, OnCrash: policy})
				bystander := futures.Submit(context.Background(), pool, hold, held{Gate: other.path})
				bystanderPID := other.pid()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				opts, fn, cause, least := []futures.CallOption{futures.Retries(3)}, hold, context.Canceled, grace
				if how != "ctx" {
					opts, cause, least = append(opts, futures.Timeout(timeout)), futures.ErrTimeout, grace+timeout
				}
				if how == "spinning" {
					fn = spin
				}
				began := time.Now()
				f := futures.Submit(ctx, pool, fn, held{Gate: g.path, Deaf: true}, opts...)
				victim := g.pid()
				waiting := futures.Submit(context.Background(), pool, echo, "waited")
				switch how {
				case "ctx":
					began = time.Now()
					cancel()
				case "frozen":
					freeze(t, victim)
				}
				_, err := f.Result(bounded(t))
				took := time.Since(began)
				var crash *procpool.WorkerCrashError
				require.ErrorAs(t, err, &crash)
				assert.ErrorIs(t, err, cause)
				assert.NotErrorIs(t, err, procpool.ErrBrokenProcessPool, "one call's end broke the pool")
				assert.Equal(t, victim, crash.PID)
				if how == "frozen" {
					assert.Equal(t, syscall.SIGKILL, crash.Signal)
					assert.Empty(t, crash.Goroutines, "it could not tell")
				} else {
					assert.Equal(t, syscall.SIGQUIT, crash.Signal)
					assert.Equal(t, -1, crash.ExitCode)
					assert.Contains(t, crash.Goroutines, map[bool]string{true: "spinWithoutEnd(", false: "ignoreCtx("}[how == "spinning"], "what it was doing")
					assert.Contains(t, crash.Error(), "see Goroutines")
				}
				assert.LessOrEqual(t, strings.Count(crash.Error(), "\n"), 1)
				assert.Equal(t, 1, crash.Attempt, "it was run again after it was given up")
				assert.GreaterOrEqual(t, took, least)
				assert.Less(t, took, least+3*time.Second)
				got, err := waiting.Result(bounded(t))
				require.NoError(t, err)
				assert.Equal(t, "waited", got)
				assert.Equal(t, futures.Running, bystander.State())
				other.open(1)
				n, err := bystander.Result(bounded(t))
				require.NoError(t, err)
				assert.Equal(t, bystanderPID, n)
				assert.Zero(t, pool.Stats().Crashed)
			})
		}
	}
}

// The kill of an overdue call comes just when it ends, and must not hit the call after it.
func TestALateKillNeverHitsTheNextCall(t *testing.T) {
	clean(t)
	const grace = 40 * time.Millisecond
	pool := newPool(t, procpool.Config{MaxWorkers: 1, KillGrace: grace, OnCrash: procpool.ReplaceWorker, MaxCrashes: 1000})
	m := newMarks(t)
	random := rand.New(rand.NewPCG(5, 7))
	ended, killed := 0, 0
	for n := range 12 {
		nap := 10*time.Millisecond + grace - 4*time.Millisecond + time.Duration(random.Int64N(int64(8*time.Millisecond)))
		overdue := futures.Submit(context.Background(), pool, mark, marking{m.path, n, nap}, futures.Timeout(10*time.Millisecond))
		next := futures.Submit(context.Background(), pool, echo, "next")
		_, err := overdue.Result(bounded(t))
		if err == nil {
			ended++
		} else {
			require.ErrorIs(t, err, futures.ErrTimeout)
			killed++
		}
		got, err := next.Result(bounded(t))
		require.NoError(t, err, "the kill of another call hit this one")
		assert.Equal(t, "next", got)
	}
	t.Logf("%d ended in time, %d were killed", ended, killed)
}

// A deadline that passes in the queue cancels the call, which never runs.
func TestACtxThatIsDoneInTheQueueCancels(t *testing.T) {
	clean(t)
	g, m := newGate(t), newMarks(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	running := futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	g.pid()
	ctx, cancel := context.WithCancelCause(context.Background())
	waiting := futures.Submit(ctx, pool, mark, marking{File: m.path, N: 1})
	reason := errors.New("the user went home")
	cancel(reason)
	_, err := waiting.Result(bounded(t))
	require.ErrorIs(t, err, futures.ErrCancelled)
	require.ErrorIs(t, err, reason)
	g.open(1)
	_, err = running.Result(bounded(t))
	require.NoError(t, err)
	mustClose(t, pool)
	assert.Empty(t, m.read())
}

// A Timeout counts from the start of execution: what waits does not grow old.
func TestTimeoutDoesNotCountTheQueue(t *testing.T) {
	clean(t)
	g := newGate(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	const timeout = 300 * time.Millisecond
	first := futures.Submit(context.Background(), pool, await, g.path, futures.Timeout(2*timeout))
	assert.Equal(t, "deadline: true", g.hear())
	began := time.Now()
	waiting := futures.Submit(context.Background(), pool, await, g.path, futures.Timeout(timeout))
	assert.Equal(t, futures.ErrTimeout.Error(), g.hear())
	_, err := first.Result(bounded(t))
	require.ErrorIs(t, err, futures.ErrTimeout)
	assert.Equal(t, "deadline: true", g.hear(), "it timed out in the queue")
	assert.Greater(t, time.Since(began), timeout)
	assert.Equal(t, futures.ErrTimeout.Error(), g.hear())
	_, err = waiting.Result(bounded(t))
	require.ErrorIs(t, err, futures.ErrTimeout)
	assert.Greater(t, time.Since(began), 2*timeout)
}
