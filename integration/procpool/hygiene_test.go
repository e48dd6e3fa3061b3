//go:build linux

package procpool_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// patience bounds every wait for something that must happen. It is no measure of how long it may take.
const patience = 20 * time.Second

// clean sees when the test is over that nothing is left. It comes first in a test.
func clean(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		entries, err := os.ReadDir(os.TempDir())
		require.NoError(t, err)
		assert.Empty(t, entries, "temporary entries are left")
	})
	remains.Watch(t, 2*time.Second)
}

// newPool makes a pool of workers of this program that is closed when the test is over. Whatever the test leaves running is
// killed first, unless it has closed the pool itself.
func newPool(t *testing.T, config procpool.Config) *procpool.ProcessPoolExecutor {
	t.Helper()
	if config.Worker.String() == "" {
		config.Worker = procpool.Self()
	}
	pool, err := procpool.New(config)
	require.NoError(t, err)
	t.Cleanup(func() {
		pool.KillWorkers()
		mustClose(t, pool)
	})
	return pool
}

// mustClose closes the pool, which may not take for ever.
func mustClose(t *testing.T, pool *procpool.ProcessPoolExecutor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, pool.Shutdown(ctx), "the pool does not come to its end: %+v", pool.Stats())
}

// bounded is a ctx for a wait that must end.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// freeze stops a worker, and returns when it has stopped.
func freeze(t *testing.T, pid int) {
	t.Helper()
	require.NoError(t, unix.Kill(pid, unix.SIGSTOP))
	remains.AwaitStop(t, pid)
}
