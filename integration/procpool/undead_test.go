//go:build linux

package procpool_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A worker that does not even end of SIGKILL costs its call and its slot's time, and nobody waits for it: neither the call, nor others, nor
// Close. When it ends at last, what it had of this host is given back.
//
// A frozen cgroup of the first kind keeps a process from dying. A system call that nothing interrupts does as well, but cannot be made here.
func TestAWorkerThatDoesNotEndOfSIGKILLIsGivenUp(t *testing.T) {
	const freezer = "/sys/fs/cgroup/freezer"
	group := filepath.Join(freezer, fmt.Sprintf("concurrent-test-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("SKIPPED: nothing here keeps a process from dying: it takes root and cgroup v1 with its freezer: %v", err)
	}
	clean(t)
	tell := func(file, what string) { require.NoError(t, os.WriteFile(filepath.Join(group, file), []byte(what), 0)) }
	t.Cleanup(func() { assert.NoError(t, os.Remove(group)) })

	g := newGate(t)
	log := newJournal()
	pool := newPool(t, procpool.Config{MaxWorkers: 1, KillGrace: 100 * time.Millisecond, OnCrash: procpool.ReplaceWorker, Logger: slog.New(log)})
	f := futures.Submit(context.Background(), pool, hold, held{Gate: g.path, Deaf: true}, futures.Timeout(50*time.Millisecond))
	victim := g.pid()
	end, err := unix.PidfdOpen(victim, 0)
	require.NoError(t, err)
	defer unix.Close(end)
	tell("cgroup.procs", strconv.Itoa(victim))
	tell("freezer.state", "FROZEN")
	thawed := false
	thaw := func() {
		if !thawed {
			thawed = true
			tell("freezer.state", "THAWED")
		}
	}
	t.Cleanup(thaw)
	for state := ""; state != "FROZEN"; {
		text, err := os.ReadFile(filepath.Join(group, "freezer.state"))
		require.NoError(t, err)
		state = strings.TrimSpace(string(text))
	}

	waiting := futures.Submit(context.Background(), pool, echo, "waited")
	_, err = f.Result(bounded(t))
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	assert.ErrorIs(t, err, futures.ErrTimeout)
	assert.Equal(t, victim, crash.PID)
	assert.Equal(t, -1, crash.ExitCode)
	assert.Contains(t, err.Error(), "is still there")
	assert.Contains(t, err.Error(), "does not end of SIGKILL")
	got, err := waiting.Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, "waited", got)
	assert.NotContains(t, pool.Stats().PIDs, victim)
	assert.NotEmpty(t, log.find("procpool: a worker does not end of SIGKILL, and is given up"))
	mustClose(t, pool)
	_, err = os.Stat(fmt.Sprintf("/proc/%d", victim))
	require.NoError(t, err, "it has ended, and so proves nothing")
	thaw()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(end), Events: unix.POLLIN}}, int(patience/time.Millisecond))
	require.NoError(t, err)
	require.Equal(t, 1, n, "it does not end")
}
