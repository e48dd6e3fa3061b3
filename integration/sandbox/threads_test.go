//go:build linux

package sandbox

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// restricted counts the threads of this process that are, and all.
func restricted(t *testing.T) (held, all int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		all++
		if !strings.Contains(string(text), "\nSeccomp:\t0\n") || !strings.Contains(string(text), "\nNoNewPrivs:\t0\n") {
			held++
		}
	}
	return held, all
}

// The threads that start workers in sandboxes are restricted for good. The runtime must clone none from them, and put nothing
// else on them.
func TestTheHostStaysFree(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{Sandbox: procpool.PureCPU, MaxWorkers: 4, MaxTasksPerChild: 1})
	sound(t, pool)
	before, _ := restricted(t)
	require.Zero(t, before)
	var calls []*futures.Future[int]
	for n := range 120 {
		calls = append(calls, futures.Submit(bounded(t), pool, square, n))
	}
	for n, c := range calls {
		got, err := c.Result(bounded(t))
		require.NoError(t, err)
		assert.Equal(t, n*n, got)
		if n%10 != 0 {
			continue
		}
		// Many threads at once, new ones among them.
		var all sync.WaitGroup
		var free sync.WaitGroup
		free.Add(16)
		for range 16 {
			all.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				free.Done()
				free.Wait()
				_, err := os.ReadFile("/etc/passwd")
				assert.NoError(t, err)
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if assert.NoError(t, err) {
					assert.NoError(t, l.Close())
				}
			})
		}
		all.Wait()
	}
	// One thread for each worker at most, of which there may be two times MaxWorkers for a moment.
	held, all := restricted(t)
	t.Logf("%d of %d threads are restricted while the pool lives", held, all)
	assert.LessOrEqual(t, held, 8)
	mustClose(t, pool)
	assert.Eventually(t, func() bool { held, _ = restricted(t); return held == 0 }, patience, 1e6, "restricted threads are left")
}

// That what the test above counts can be seen at all.
func TestAWorkerInASandboxHasARestrictedThread(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{Sandbox: procpool.PureCPU})
	sound(t, pool)
	_, err := futures.Submit(bounded(t), pool, square, 1).Result(bounded(t))
	require.NoError(t, err)
	held, _ := restricted(t)
	assert.Equal(t, 1, held)
}
