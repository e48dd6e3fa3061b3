//go:build linux

package procpool_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/procpool"
)

// patience bounds every wait for something that must happen. It is no measure of how long it may take.
const patience = 20 * time.Second

// clean notes what there is, and sees when the test is over that there is no more. It comes first in a test, so that what the
// test itself puts away is away by then.
func clean(t *testing.T) {
	t.Helper()
	goroutines := goleak.IgnoreCurrent()
	fds := descriptors(t)
	t.Cleanup(func() {
		assert.Empty(t, survivors(t), "processes are left")
		goleak.VerifyNone(t, goroutines)
		left := descriptors(t)
		maps.DeleteFunc(left, func(fd, what string) bool { return fds[fd] == what })
		assert.Empty(t, left, "descriptors are left")
		entries, err := os.ReadDir(os.TempDir())
		require.NoError(t, err)
		assert.Empty(t, entries, "temporary entries are left")
	})
}

// survivors are the descendants of this process that do not end. Those whose group was killed are given the moment that the
// kernel needs to bury them.
func survivors(t *testing.T) (alive []string) {
	t.Helper()
	for _, pid := range children(t, os.Getpid()) {
		name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err != nil {
			continue
		}
		if !awaitEnd(t, pid, 2*time.Second) {
			alive = append(alive, fmt.Sprintf("%d: %s", pid, bytes.ReplaceAll(name, []byte{0}, []byte{' '})))
			assert.NoError(t, unix.Kill(pid, unix.SIGKILL))
			awaitEnd(t, pid, patience)
		}
		var status unix.WaitStatus
		_, _ = unix.Wait4(pid, &status, unix.WNOHANG, nil) // an orphan: nobody else waits for it
	}
	return alive
}

// children are the processes whose parent is pid.
func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	require.NoError(t, err)
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended meanwhile
		}
		for f := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(f)
			require.NoError(t, err)
			pids = append(pids, child)
		}
	}
	slices.Sort(pids)
	return pids
}

// awaitEnd waits until the process has ended, whether or not it was waited for, and reports whether it has.
func awaitEnd(t *testing.T, pid int, most time.Duration) bool {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return true
	}
	require.NoError(t, err)
	defer func() { assert.NoError(t, unix.Close(fd)) }()
	return pollEnd(t, fd, most)
}

// pollEnd is awaitEnd for a descriptor of the process.
func pollEnd(t *testing.T, pidfd int, most time.Duration) bool {
	t.Helper()
	deadline := time.Now().Add(most)
	for {
		poll := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, int(max(0, time.Until(deadline)).Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		require.NoError(t, err)
		return n > 0
	}
}

// descriptors are those of this process, with what they lead to.
func descriptors(t *testing.T) map[string]string {
	t.Helper()
	open := make(map[string]string)
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err != nil || strings.HasPrefix(to, "anon_inode:[event") || strings.HasSuffix(to, "/fd") {
			continue // that of the listing itself, and the poller's own
		}
		open[e.Name()] = to
	}
	return open
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
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			require.NoError(t, err)
			return
		}
	}
}
