package remains

import (
	"bytes"
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
	"golang.org/x/sys/unix"
)

// survivors are the descendants of this process that do not end. Whoever ends may leave orphans.
func survivors(t *testing.T, burial time.Duration) (alive []string) {
	t.Helper()
	for pids := Children(t, os.Getpid()); len(pids) > 0; pids = Children(t, os.Getpid()) {
		for _, pid := range pids {
			name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline")) // for a human
			if !AwaitEnd(t, pid, burial) {
				alive = append(alive, fmt.Sprintf("%d: %s", pid, bytes.ReplaceAll(name, []byte{0}, []byte{' '})))
				assert.NoError(t, unix.Kill(pid, unix.SIGKILL))
				require.True(t, AwaitEnd(t, pid, patience), "%v", alive)
			}
			var status unix.WaitStatus
			_, _ = unix.Wait4(pid, &status, 0, nil) // unless somebody else has waited for it
		}
	}
	return alive
}

// Children are the processes whose parent is pid.
func Children(t *testing.T, pid int) (pids []int) {
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

// AwaitEnd waits until the process has ended, whether or not it was waited for, and reports whether it has.
func AwaitEnd(t *testing.T, pid int, most time.Duration) bool {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return true
	}
	require.NoError(t, err)
	defer func() { assert.NoError(t, unix.Close(fd)) }()
	return AwaitEndOf(t, fd, most)
}

// AwaitEndOf is AwaitEnd for a descriptor of the process.
func AwaitEndOf(t *testing.T, pidfd int, most time.Duration) bool {
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

// Stopped reports whether a process is stopped, or has ended.
func Stopped(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(after, "T") || strings.HasPrefix(after, "Z")
}

// AwaitStop waits until a child of this process is stopped, or has ended.
func AwaitStop(t *testing.T, pid int) {
	t.Helper()
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err == unix.ECHILD && Stopped(pid) { // somebody else has waited for it
			return
		}
		require.NoError(t, err)
		return
	}
}
