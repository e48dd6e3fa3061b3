//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// patience bounds every wait for something that must happen. It is no measure of how long it may take.
const patience = 30 * time.Second

// copyVar makes this program do nothing, as a copy of a worker.
const copyVar = "SANDBOX_TEST_COPY"

func TestMain(m *testing.M) {
	worker.MainIfWorker(workerFuncs...)
	if os.Getenv(copyVar) != "" {
		os.Exit(0)
	}
	if os.Getenv(hostVar) != "" {
		beHost()
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// sound skips, loudly, where this machine cannot enforce what a test is about. Whether processes can be kept from being started depends on nothing but the processor.
func sound(t *testing.T, pool *procpool.ProcessPoolExecutor) {
	t.Helper()
	for _, r := range pool.Enforced() {
		if r.Name == "Sandbox.fork" && r.Active != seesCopies {
			t.Fatalf("a processor of %d bits: %v", bits.UintSize, r)
		}
		if !r.Active && r.Name != "Sandbox.fork" {
			t.Skipf("THIS MACHINE CANNOT RUN THE TEST: %v", r)
		}
	}
}

// seesCopies says that a copy of a worker can be told from its start.
const seesCopies = bits.UintSize == 64

// copies are the acts that start one.
var copies = []string{"fork", "start a copy of itself"}

// clean sees when the test is over that nothing is left: it comes first in a test.
func clean(t *testing.T) {
	t.Helper()
	remains.Watch(t, 2*time.Second)
	t.Cleanup(func() { assert.Empty(t, cgroupsOf(t, os.Getpid()), "cgroups are left") })
}

// newPool makes a pool of workers of this program, which is closed when the test is over.
func newPool(t *testing.T, config procpool.Config) *procpool.ProcessPoolExecutor {
	t.Helper()
	if config.Worker.String() == "" {
		config.Worker = procpool.Self()
	}
	config.Env = append(config.Env, "GORACE=atexit_sleep_ms=0")
	config.MaxWorkers = max(config.MaxWorkers, 1)
	pool, err := procpool.New(config)
	require.NoError(t, err)
	t.Cleanup(func() {
		pool.KillWorkers()
		mustClose(t, pool)
	})
	return pool
}

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

// cgroupsOf lists the cgroups that are there for the workers of a host.
func cgroupsOf(t *testing.T, pid int) (found []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		folder := filepath.Join("/sys/fs/cgroup", fields[1], fields[2])
		if fields[1] == "" { // version 2
			folder = filepath.Join("/sys/fs/cgroup", filepath.Dir(fields[2]))
		}
		entries, _ := os.ReadDir(folder)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "concurrent-") && strings.Contains(e.Name(), fmt.Sprintf("-%d-", pid)) {
				found = append(found, folder+"/"+e.Name())
			}
		}
	}
	return found
}
