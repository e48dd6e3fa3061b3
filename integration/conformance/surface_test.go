//go:build unix

package conformance_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/threadpool"
)

// rows M1 and M2: what Python's module offers, under our names. It has to compile, and the conditions are three.
func TestSurface(t *testing.T) {
	var (
		_ futures.Executor = (*threadpool.ThreadPoolExecutor)(nil)
		_ futures.Executor = (*procpool.ProcessPoolExecutor)(nil)
		_                  = futures.Submit[int, int]
		_                  = futures.Map[int, int]
		_                  = futures.Wait[*futures.Future[int]]
		_                  = futures.AsCompleted[*futures.Future[int]]
	)
	conditions := map[futures.Until]bool{futures.AllCompleted: true, futures.FirstCompleted: true, futures.FirstError: true}
	assert.Len(t, conditions, 3)
}

// rows M3 and M4
func TestErrorsFormAHierarchy(t *testing.T) {
	for _, broken := range []error{threadpool.ErrBrokenThreadPool, procpool.ErrBrokenProcessPool, interpreters.ErrBrokenInterpreterPool} {
		require.ErrorIs(t, broken, futures.ErrBrokenExecutor)
		assert.NotErrorIs(t, broken, futures.ErrShutdown)
	}
	assert.NotErrorIs(t, threadpool.ErrBrokenThreadPool, procpool.ErrBrokenProcessPool)
	kinds := []error{futures.ErrCancelled, futures.ErrShutdown, futures.ErrBrokenExecutor, futures.ErrInvalidState,
		futures.ErrTimeout, futures.ErrNotShareable, futures.ErrNoBody}
	for i, a := range kinds {
		for j, b := range kinds {
			if i != j {
				assert.NotErrorIs(t, a, b)
			}
		}
	}
}

// rows P1, P2 and P7: all mistakes at once, each with the name of its field
func TestWrongConfigs(t *testing.T) {
	_, err := procpool.New(procpool.Config{MaxWorkers: -1, MaxTasksPerChild: -1, Worker: procpool.Command("")})
	for _, field := range []string{"MaxWorkers", "MaxTasksPerChild", "Worker"} {
		require.ErrorContains(t, err, "Config."+field)
	}
	p, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 200, MaxTasksPerChild: 1})
	require.NoError(t, err, "there is no cap, and MaxTasksPerChild goes with everything")
	require.NoError(t, p.Close(), fmt.Sprint(p.Stats()))
}
