//go:build linux

package procpool_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

func TestANewPoolHasNoProcess(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 4})
	assert.Empty(t, remains.Children(t, os.Getpid()))
	assert.Zero(t, pool.Stats())
	mustClose(t, pool)
	assert.Zero(t, pool.Stats().Started)
}

// A worker that is idle is used again, so calls one after the other never start a second one.
func TestAnIdleWorkerIsUsedAgain(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 4})
	ctx := bounded(t)
	pids := make(map[int]bool)
	for range 20 {
		n, err := futures.Submit(ctx, pool, pid, none{}).Result(ctx)
		require.NoError(t, err)
		pids[n] = true
	}
	assert.Len(t, pids, 1)
	assert.Equal(t, 1, pool.Stats().Started)
	assert.Len(t, remains.Children(t, os.Getpid()), 1)
}

// One busy worker makes the next call start one more, up to MaxWorkers and never beyond.
func TestWorkersAreStartedWhenNoneIsIdle(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 3})
	g := newGate(t)
	var calls []*futures.Future[int]
	pids := make(map[int]bool)
	for n := range 3 {
		calls = append(calls, futures.Submit(context.Background(), pool, hold, held{Gate: g.path}))
		pids[g.pid()] = true
		assert.Len(t, pids, n+1)
		assert.Len(t, remains.Children(t, os.Getpid()), n+1)
	}
	for range 4 { // more than there are workers
		calls = append(calls, futures.Submit(context.Background(), pool, hold, held{Gate: g.path}))
	}
	assert.Equal(t, 4, pool.Stats().Queued)
	assert.Len(t, remains.Children(t, os.Getpid()), 3)
	g.open(7)
	for _, c := range calls {
		n, err := c.Result(bounded(t))
		require.NoError(t, err)
		assert.Contains(t, pids, n)
	}
	assert.Equal(t, 3, pool.Stats().Started)
}

func TestIdleWorkersLeaveAfterIdleTimeout(t *testing.T) {
	clean(t)
	const idle = 300 * time.Millisecond
	pool := newPool(t, procpool.Config{MaxWorkers: 2, IdleTimeout: idle})
	g := newGate(t)
	a := futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	b := futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	pids := []int{g.pid(), g.pid()}
	released := time.Now()
	g.open(1)
	var one *futures.Future[int]
	select {
	case <-a.Done():
		one = a
	case <-b.Done():
		one = b
	}
	gone, err := one.Result(bounded(t))
	require.NoError(t, err)
	assert.True(t, remains.AwaitEnd(t, gone, patience), "the idle worker stays")
	assert.GreaterOrEqual(t, time.Since(released), idle)
	busy := slices.DeleteFunc(pids, func(pid int) bool { return pid == gone })[0]
	assert.NoError(t, unix.Kill(busy, 0), "the busy worker left as well")
	g.open(1)
	assert.True(t, remains.AwaitEnd(t, busy, patience), "the idle worker stays")

	_, err = futures.Submit(context.Background(), pool, echo, "again").Result(bounded(t))
	require.NoError(t, err, "a pool without workers does not start one")
	assert.Zero(t, pool.Stats().Crashed, "a worker that left was taken for a crash")
}

func TestAWorkerIsReplacedAfterMaxTasksPerChild(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, MaxTasksPerChild: 3})
	ctx := bounded(t)
	var pids []int
	for n := range 9 {
		if n%3 == 1 { // a failed call counts like any other
			_, err := futures.Submit(ctx, pool, fail, "unknown").Result(ctx)
			var failed *futures.TaskError
			require.ErrorAs(t, err, &failed)
			continue
		}
		p, err := futures.Submit(ctx, pool, pid, none{}).Result(ctx)
		require.NoError(t, err)
		pids = append(pids, p)
	}
	require.Len(t, pids, 6)
	for n := 0; n < 6; n += 2 {
		assert.Equal(t, pids[n], pids[n+1])
	}
	assert.Len(t, slices.Compact(slices.Clone(pids)), 3)
	assert.True(t, remains.AwaitEnd(t, pids[0], patience))
	stats := pool.Stats()
	assert.Equal(t, 3, stats.Recycled)
	assert.Zero(t, stats.Crashed)
}

// The successor is there before the old worker leaves: it starts while the last call still runs.
func TestTheSuccessorIsWarmBeforeTheOldWorkerLeaves(t *testing.T) {
	clean(t)
	g := newGate(t)
	marks := newMarks(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, MaxTasksPerChild: 1, Initializer: futures.Bind(initializeAndTell, preparing{g.path, marks.path})})
	first := futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	old := g.pid() // the initializer of the first
	assert.Equal(t, old, g.pid())
	successor := g.pid() // the initializer of the second, while the first call still runs
	assert.NotEqual(t, old, successor)
	assert.Equal(t, futures.Running, first.State())
	g.open(1)
	n, err := first.Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, old, n)
	n, err = futures.Submit(context.Background(), pool, pid, none{}).Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, successor, n)
}

// gh-115634: a backlog larger than the pool, workers that leave after each call, and a Shutdown in the middle of it.
func TestRecyclingNeverDeadlocks(t *testing.T) {
	for _, c := range []struct {
		name    string
		workers int
		calls   int
		close   bool // at once
	}{
		{"backlog of one worker", 1, 6, false},
		{"backlog of two workers", 2, 10, false},
		{"shutdown over the backlog", 2, 10, true},
		{"shutdown at once", 2, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: c.workers, MaxTasksPerChild: 1})
			var calls []*futures.Future[int]
			for n := range c.calls {
				if n%4 == 3 {
					calls = append(calls, futures.Submit(context.Background(), pool, fail, "unknown"))
				} else {
					calls = append(calls, futures.Submit(context.Background(), pool, pid, none{}))
				}
			}
			if c.close {
				mustClose(t, pool)
			}
			pids := make(map[int]bool)
			for n, f := range calls {
				p, err := f.Result(bounded(t))
				if n%4 == 3 {
					var failed *futures.TaskError
					require.ErrorAs(t, err, &failed)
					continue
				}
				require.NoError(t, err)
				assert.NotContains(t, pids, p, "a worker ran two calls")
				pids[p] = true
			}
			mustClose(t, pool)
			stats := pool.Stats()
			assert.Zero(t, stats.Crashed)
			assert.Equal(t, c.calls, stats.Answered)
			assert.LessOrEqual(t, stats.Started, c.calls+c.workers)
		})
	}
}

// marks is a file in which each call that runs leaves a line.
type marks struct {
	t    *testing.T
	path string
}

func newMarks(t *testing.T) *marks {
	t.Helper()
	m := &marks{t, filepath.Join(t.TempDir(), "marks")}
	require.NoError(t, os.WriteFile(m.path, nil, 0o600))
	return m
}

// order returns the calls that have run, as they did.
func (m *marks) order() (ran []int) {
	m.t.Helper()
	text, err := os.ReadFile(m.path)
	require.NoError(m.t, err)
	for line := range strings.Lines(string(text)) {
		n, err := strconv.Atoi(strings.Fields(line)[0])
		require.NoError(m.t, err)
		ran = append(ran, n)
	}
	return ran
}

// read returns how often each call has run.
func (m *marks) read() map[int]int {
	m.t.Helper()
	ran := make(map[int]int)
	for _, n := range m.order() {
		ran[n]++
	}
	return ran
}

// A worker that is frozen while it is idle holds up nobody's call: it has not started it, so another one can.
func TestACallGivenToAFrozenWorkerRunsElsewhere(t *testing.T) {
	clean(t)
	ctx := bounded(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, KillGrace: time.Second})
	_, err := futures.Submit(ctx, pool, echo, "").Result(ctx)
	require.NoError(t, err)
	frozen := pool.Stats().PIDs[0]
	freeze(t, frozen)
	got, err := futures.Submit(ctx, pool, echo, "thawed").Result(ctx)
	require.NoError(t, err)
	assert.Equal(t, "thawed", got)
	assert.NotContains(t, pool.Stats().PIDs, frozen)
	assert.Equal(t, 1, pool.Stats().Crashed, "it does not break the pool, but it counts")
}
