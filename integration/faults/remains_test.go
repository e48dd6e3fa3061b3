//go:build linux

package faults_test

import (
	"bytes"
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
)

// clean notes what there is, and sees when the test is over that there is no more: processes, however far descended, descriptors, goroutines, temporary
// entries, mappings of memory that was shared. It comes first in a test, which must not run beside others.
func clean(t *testing.T) {
	goroutines, fds := goleak.IgnoreCurrent(), descriptors(t)
	t.Cleanup(func() {
		assert.Empty(t, survivors(t), "processes are left")
		goleak.VerifyNone(t, goroutines)
		left := descriptors(t)
		maps.DeleteFunc(left, func(fd, what string) bool { return fds[fd] == what })
		assert.Empty(t, left, "descriptors are left")
		entries, err := filepath.Glob(filepath.Join(os.TempDir(), "plugin-dir*"))
		require.NoError(t, err)
		assert.Empty(t, entries, "temporary entries are left")
		mapped, err := os.ReadFile("/proc/self/maps")
		require.NoError(t, err)
		assert.NotContains(t, string(mapped), "memfd:concurrent", "shared memory is left")
	})
}

// survivors are the descendants of this process that do not end; it is the parent of every orphan. Those whose group was killed are given the time that
// the kernel needs to bury them.
func survivors(t *testing.T) (alive []string) {
	for _, pid := range children(t, os.Getpid()) {
		name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err != nil {
			continue
		}
		if !awaitEnd(t, pid, 5*time.Second) {
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
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return true
	}
	require.NoError(t, err)
	defer func() { assert.NoError(t, unix.Close(fd)) }()
	deadline := time.Now().Add(most)
	for {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
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

// until waits for something that no event tells of.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "it does not come to this: %s", what)
	}
}

// stopped reports whether a process is stopped, or ends.
func stopped(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(after, "T") || strings.HasPrefix(after, "Z")
}
