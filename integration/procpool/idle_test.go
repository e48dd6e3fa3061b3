//go:build linux

package procpool_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// activity is what the threads of a process have done so far.
type activity struct {
	switches int // they went to sleep, or were sent there
	ticks    int // of CPU time: a hundred in a second
}

func (a activity) minus(b activity) activity {
	return activity{a.switches - b.switches, a.ticks - b.ticks}
}

// activityOf reads it. Threads that have ended no longer count, but for their CPU time.
func activityOf(t *testing.T, pid int) (a activity) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	require.NoError(t, err)
	require.NotEmpty(t, lists)
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		return n
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // it has ended meanwhile
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); strings.HasSuffix(f[0], "voluntary_ctxt_switches:") {
				a.switches += number(f[1])
			}
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(after)
	a.ticks = number(f[11]) + number(f[12])
	return a
}

const (
	quietTime  = 400 * time.Millisecond
	mostAwake  = 20 // switches in that time: one that looks up every ten milliseconds has 40
	mostTicks  = 1
	quietTries = 20 // garbage is collected and threads are put away for a while after a load
)

// awaitQuiet waits for a stretch of time in which this process and those with the given pids do next to nothing. Whoever polls has none.
func awaitQuiet(t *testing.T, pids ...int) {
	t.Helper()
	pids = append(slices.Clone(pids), os.Getpid())
	var did map[int]activity
	for range quietTries {
		before := make(map[int]activity)
		for _, pid := range pids {
			before[pid] = activityOf(t, pid)
		}
		time.Sleep(quietTime)
		did = make(map[int]activity)
		quiet := true
		for _, pid := range pids {
			did[pid] = activityOf(t, pid).minus(before[pid])
			quiet = quiet && did[pid].switches <= mostAwake && did[pid].ticks <= mostTicks
		}
		if quiet {
			t.Logf("%+v", did)
			return
		}
	}
	assert.Failf(t, "somebody polls", "in %v the processes did: %+v (this one is %d)", quietTime, did, os.Getpid())
}

// A pool that has nothing to do does nothing, whatever it did before; its workers neither.
func TestAnIdlePoolSleeps(t *testing.T) {
	clean(t)
	b := newBoard(t, 20_000)
	pool := newPool(t, procpool.Config{MaxWorkers: 2, OnCrash: procpool.ReplaceWorker, Env: b.env(), IdleTimeout: time.Hour})
	g := newGate(t)
	ctx := bounded(t)
	var both []*futures.Future[int]
	for range 2 {
		both = append(both, futures.Submit(ctx, pool, hold, held{Gate: g.path}))
		g.pid()
	}
	g.open(2)
	for _, f := range both {
		_, err := f.Result(ctx)
		require.NoError(t, err)
	}
	for _, load := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"the start", func(*testing.T) {}},
		{"calls one at a time", func(t *testing.T) {
			for n := range 500 {
				_, err := futures.Submit(ctx, pool, tallies[0], n).Result(ctx)
				require.NoError(t, err)
			}
		}},
		{"calls in bulk", func(t *testing.T) {
			var all []*futures.Future[int]
			for n := range 10_000 {
				all = append(all, futures.Submit(ctx, pool, tallies[0], n, futures.Timeout(time.Minute)))
			}
			for _, f := range all {
				_, err := f.Result(ctx)
				require.NoError(t, err)
			}
		}},
		{"a Map", func(t *testing.T) {
			for _, err := range futures.Map(ctx, pool, tallies[0], numbers(0, 20_000)) {
				require.NoError(t, err)
			}
		}},
		{"a Map that was left", func(*testing.T) {
			for n := range futures.Map(ctx, pool, tallies[0], numbers(0, 20_000)) {
				if n > 1000 {
					break
				}
			}
		}},
		{"a call that waits for its ctx", func(t *testing.T) {
			_, err := futures.Submit(ctx, pool, await, g.path, futures.Timeout(10*time.Millisecond)).Result(ctx)
			require.ErrorIs(t, err, futures.ErrTimeout)
		}},
		{"an end", func(t *testing.T) {
			_, err := futures.Submit(ctx, pool, perish, fate{"exit", 1}).Result(ctx)
			require.Error(t, err)
			remains.Until(t, "the worker is gone", func() bool { return pool.Stats().Workers == 1 })
		}},
	} {
		t.Run(load.name, func(t *testing.T) {
			load.run(t)
			stats := pool.Stats()
			assert.Zero(t, stats.Queued)
			awaitQuiet(t, stats.PIDs...)
		})
	}
}

// Calls that wait for something else than the CPU cost none, in the worker that runs them and in the host, whether others wait behind
// them or not.
func TestAPoolThatWaitsSleeps(t *testing.T) {
	for _, behind := range []int{0, 100} {
		t.Run(fmt.Sprint(behind), func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 2})
			g := newGate(t)
			ctx := bounded(t)
			var all []*futures.Future[int]
			for range 2 {
				all = append(all, futures.Submit(context.Background(), pool, hold, held{Gate: g.path}, futures.Timeout(time.Hour)))
				g.pid()
			}
			for range behind {
				all = append(all, futures.Submit(context.Background(), pool, pid, none{}))
			}
			awaitQuiet(t, pool.Stats().PIDs...)
			g.open(2)
			for _, f := range all {
				_, err := f.Result(ctx)
				require.NoError(t, err)
			}
		})
	}
}
