//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A greed is what a worker takes too much of.
type greed struct {
	What string
	Most int    // how much it tries to take
	Dir  string // for files
}

// exhaust takes as much as it gets, and says how much that was and what stopped it.
var exhaust = futures.NewFunc("sandbox.Exhaust", func(_ context.Context, g greed) (string, error) {
	n, err := g.take()
	return fmt.Sprintf("%d %v", n, err), nil
})

func (g greed) take() (n int, err error) {
	switch g.What {
	case "memory":
		var hoard [][]byte
		for ; n < g.Most; n++ {
			hoard = append(hoard, bytes.Repeat([]byte{1}, 1<<20))
		}
		runtime.KeepAlive(hoard)
	case "descriptors":
		for ; n < g.Most; n++ {
			if _, err := syscall.Dup(0); err != nil {
				return n, err
			}
		}
	case "file":
		f, err := os.Create(filepath.Join(g.Dir, "hoard"))
		if err != nil {
			return 0, err
		}
		for block := make([]byte, 1<<16); n < g.Most; n++ {
			if _, err := f.Write(block); err != nil {
				return n, err
			}
		}
	case "time":
		for {
			n++
		}
	case "panic":
		go panic(strings.Repeat("greed ", 100))
		select {}
	case "suicide":
		return 0, unix.Kill(os.Getpid(), unix.SIGKILL)
	case "processes":
		for ; n < g.Most; n++ {
			cmd := exec.Command("/bin/sleep", "1000")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: n%2 == 0} // half of them leave the group
			if err := cmd.Start(); err != nil {
				return n, err
			}
		}
	case "bomb":
		err := exec.Command("/bin/sh", "-c", "b() { b | b & b; }; b").Run()
		return 0, err
	case "core":
		var l unix.Rlimit
		err := unix.Getrlimit(unix.RLIMIT_CORE, &l)
		return int(l.Cur), err
	}
	return n, err
}

func taken(t *testing.T, pool *procpool.ProcessPoolExecutor, g greed) (string, error) {
	t.Helper()
	return futures.Submit(bounded(t), pool, exhaust, g).Result(bounded(t))
}

// crashOf is what is known of the worker that was too greedy.
func crashOf(t *testing.T, err error) *procpool.WorkerCrashError {
	t.Helper()
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	t.Log(crash)
	return crash
}

func limited(t *testing.T, l procpool.Limits) *procpool.ProcessPoolExecutor {
	t.Helper()
	pool := newPool(t, procpool.Config{Limits: l, OnCrash: procpool.ReplaceWorker, Env: []string{"PATH=/bin:/usr/bin"}})
	sound(t, pool)
	return pool
}

// usable sees that the pool goes on, and that a modest call is left alone.
func usable(t *testing.T, pool *procpool.ProcessPoolExecutor) {
	t.Helper()
	got, err := futures.Submit(bounded(t), pool, square, 7).Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, 49, got)
}

func TestAWorkerThatEatsMemoryIsEndedAndSoIsSaid(t *testing.T) {
	clean(t)
	pool := limited(t, procpool.Limits{Memory: 128 << 20})
	_, err := taken(t, pool, greed{What: "memory", Most: 400})
	crash := crashOf(t, err)
	assert.Equal(t, unix.SIGKILL, crash.Signal)
	assert.Equal(t, procpool.OOMKilled, crash.OOM)
	assert.Contains(t, crash.Error(), "out of memory")
	usable(t, pool)
	got, err := taken(t, pool, greed{What: "memory", Most: 10})
	require.NoError(t, err)
	assert.Equal(t, "10 <nil>", got)
}

// A verdict is of the worker's own cgroup, and not of its neighbour's; and where nothing counts, none is made up.
func TestAWorkerThatIsKilledByOthersIsNotOutOfMemory(t *testing.T) {
	clean(t)
	greedy := limited(t, procpool.Limits{Memory: 128 << 20})
	_, err := taken(t, greedy, greed{What: "memory", Most: 400})
	require.Equal(t, procpool.OOMKilled, crashOf(t, err).OOM)

	for want, l := range map[procpool.OOM]procpool.Limits{procpool.NotOOM: {Memory: 128 << 20}, procpool.OOMUnknown: {}} {
		pool := limited(t, l)
		usable(t, pool)
		f := futures.Submit(bounded(t), pool, exhaust, greed{What: "time"})
		require.Eventually(t, func() bool { return f.State() == futures.Running }, patience, time.Millisecond)
		require.NoError(t, unix.Kill(pool.Stats().PIDs[0], unix.SIGKILL))
		_, err = f.Result(bounded(t))
		crash := crashOf(t, err)
		assert.Equal(t, want, crash.OOM)
		assert.NotContains(t, crash.Error(), "memory")
	}
}

func TestAWorkerThatLeaksDescriptorsGetsNoMore(t *testing.T) {
	clean(t)
	pool := limited(t, procpool.Limits{OpenFiles: 32})
	got, err := taken(t, pool, greed{What: "descriptors", Most: 100})
	require.NoError(t, err)
	var n int
	_, err = fmt.Sscan(got, &n)
	require.NoError(t, err)
	assert.Less(t, n, 32)
	assert.Contains(t, got, "too many open files")
}

func TestAWorkerCannotFillTheDisk(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	pool := limited(t, procpool.Limits{FileSize: 1 << 20})
	got, err := taken(t, pool, greed{What: "file", Most: 100, Dir: dir})
	require.NoError(t, err)
	assert.Contains(t, got, "16 write")
	assert.Contains(t, got, unix.EFBIG.Error())
	info, err := os.Stat(filepath.Join(dir, "hoard"))
	require.NoError(t, err)
	assert.EqualValues(t, 1<<20, info.Size())
}

// What a worker says as it dies it writes into a file.
func TestAWorkerThatMayWriteLittleSaysLittleAsItDies(t *testing.T) {
	clean(t)
	for most, l := range map[int]procpool.Limits{100: {FileSize: 100}, 256 << 10: {}} {
		_, err := taken(t, limited(t, l), greed{What: "panic"})
		dump := crashOf(t, err).Goroutines
		assert.LessOrEqual(t, len(dump), most)
		assert.Equal(t, most > 100, len(dump) > 100)
	}
}

func TestAWorkerThatUsesUpItsTimeIsEnded(t *testing.T) {
	clean(t)
	pool := limited(t, procpool.Limits{CPUTime: time.Second})
	_, err := taken(t, pool, greed{What: "time"})
	crash := crashOf(t, err)
	assert.Equal(t, unix.SIGKILL, crash.Signal)
	assert.InDelta(t, 2, crash.CPU.Seconds(), 0.9)
	usable(t, pool)
}

// Processes that have left the worker's group are ended with it, since they have not left its cgroup: clean sees that.
func TestAWorkerHasNoMoreProcessesThanItMay(t *testing.T) {
	clean(t)
	pool := limited(t, procpool.Limits{Processes: 40})
	got, err := taken(t, pool, greed{What: "processes", Most: 100})
	require.NoError(t, err)
	var n int
	_, err = fmt.Sscan(got, &n)
	require.NoError(t, err)
	assert.Less(t, n, 40)
	assert.Greater(t, n, 5)
	assert.Contains(t, got, unix.EAGAIN.Error())
	mustClose(t, pool)
}

// A worker that has too little to start with ends in its own way, which tells nobody what to do.
func TestAWorkerThatCannotStartWithinItsLimitsSaysWhich(t *testing.T) {
	for says, config := range map[string]procpool.Config{
		"Config.Limits.Processes (1)": {Limits: procpool.Limits{Processes: 1}},
		"Config.Limits.Memory":        {Limits: procpool.Limits{Memory: 32 << 20}, Worker: procpool.Command("tail", "-n1", "/dev/zero")},
	} {
		clean(t)
		pool := newPool(t, config)
		sound(t, pool)
		_, err := futures.Submit(bounded(t), pool, square, 7).Result(bounded(t))
		var failed *procpool.StartError
		require.ErrorAs(t, err, &failed)
		t.Log(failed)
		assert.Contains(t, failed.Reason, says)
	}
}

func TestAForkBombGoesOffInItsCell(t *testing.T) {
	clean(t)
	pool := limited(t, procpool.Limits{Processes: 60})
	_, err := futures.Submit(bounded(t), pool, exhaust, greed{What: "bomb"}, futures.Timeout(500*time.Millisecond)).Result(bounded(t))
	t.Log(err)
	usable(t, pool)
}

func TestNoCoreIsWritten(t *testing.T) {
	clean(t)
	for want, l := range map[string]procpool.Limits{"0 <nil>": {Core: procpool.NoCore}, "4096 <nil>": {Core: 4096}} {
		pool := limited(t, l)
		got, err := taken(t, pool, greed{What: "core"})
		if errors.Is(err, os.ErrPermission) {
			t.Skip("THIS MACHINE DOES NOT LET THE TEST RAISE THE LIMIT")
		}
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

// hoard is what a worker has not let go of.
var hoard [][]byte

var leak = futures.NewFunc("sandbox.Leak", func(_ context.Context, megabytes int) (int, error) {
	if megabytes > 0 {
		hoard = append(hoard, bytes.Repeat([]byte{1}, megabytes<<20))
	}
	return os.Getpid(), nil
})

// No call is lost, nothing counts as a crash, and one that needs much only for a while is left alone.
func TestAWorkerThatLeaksIsReplaced(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxRSS: 200 << 20, Env: []string{"PATH=/bin"}})
	sound(t, pool)
	first, err := futures.Submit(bounded(t), pool, leak, 10).Result(bounded(t))
	require.NoError(t, err)
	for pid, n := first, 0; pid == first; n++ {
		require.Less(t, n, 300, "it has 3 GB")
		pid, err = futures.Submit(bounded(t), pool, leak, 10).Result(bounded(t))
		require.NoError(t, err)
	}
	stats := pool.Stats()
	assert.GreaterOrEqual(t, stats.Outgrown, 1)
	assert.Equal(t, stats.Recycled, stats.Outgrown)
	assert.Zero(t, stats.Crashed)

	modest := newPool(t, procpool.Config{MaxRSS: 200 << 20})
	first, err = futures.Submit(bounded(t), modest, leak, 1).Result(bounded(t))
	require.NoError(t, err)
	for range 2000 {
		pid, err := futures.Submit(bounded(t), modest, leak, 0).Result(bounded(t))
		require.NoError(t, err)
		require.Equal(t, first, pid)
	}
	assert.Zero(t, modest.Stats().Recycled)
}

// born is what held a worker when the first of its initialisers ran: its limits, its cgroups, its capabilities.
var born = func() (b birth) {
	for resource, to := range map[int]*uint64{unix.RLIMIT_NOFILE: &b.OpenFiles, unix.RLIMIT_FSIZE: &b.FileSize, unix.RLIMIT_CPU: &b.CPU} {
		var l unix.Rlimit
		if err := unix.Getrlimit(resource, &l); err != nil {
			b.Err = err.Error()
		}
		*to = l.Max
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	b.Cgroups = string(text)
	if err != nil {
		b.Err = err.Error()
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		b.Err = err.Error()
	}
	b.Capabilities = uint64(data[0].Permitted|data[0].Effective|data[0].Inheritable) | uint64(data[1].Permitted|data[1].Effective|data[1].Inheritable)<<32
	var blocked unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &blocked); err != nil {
		b.Err = err.Error()
	}
	for n, word := range blocked.Val {
		if word != 0 {
			b.Blocked += fmt.Sprintf("%d:%x ", n, word)
		}
	}
	b.NoNewPrivs, _ = unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return b
}()

type birth struct {
	OpenFiles, FileSize, CPU uint64
	Cgroups                  string
	Capabilities             uint64
	NoNewPrivs               int
	Blocked                  string // signals
	Err                      string
}

var bounds = futures.NewFunc("sandbox.Bounds", func(context.Context, int) (birth, error) { return born, nil })

// Twenty times, since a limit that comes after the start may still come before the initialiser.
func TestAWorkerIsBornWithinItsLimits(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{
		Limits: procpool.Limits{Memory: 256 << 20, Processes: 50, OpenFiles: 77, FileSize: 12345, CPUTime: 9500 * time.Millisecond}, MaxTasksPerChild: 1,
	})
	sound(t, pool)
	for range 20 {
		b, err := futures.Submit(bounded(t), pool, bounds, 0).Result(bounded(t))
		require.NoError(t, err)
		assert.EqualValues(t, 77, b.OpenFiles)
		assert.EqualValues(t, 12345, b.FileSize)
		assert.EqualValues(t, 11, b.CPU)
		assert.Contains(t, b.Cgroups, fmt.Sprintf("-%d-", os.Getpid()))
		assert.Empty(t, b.Err)
	}
}

// signalChildren sends every child of this process a signal that nobody minds, again and again, until the function that it returns is called.
func signalChildren() (stop func()) {
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !over.Load() {
			files, _ := filepath.Glob("/proc/self/task/*/children")
			for _, file := range files {
				text, _ := os.ReadFile(file) // the thread may have ended
				for _, pid := range strings.Fields(string(text)) {
					n, err := strconv.Atoi(pid)
					for again := 0; err == nil && again < 50; again++ {
						err = unix.Kill(n, unix.SIGWINCH) // it may have ended
					}
				}
			}
		}
	}()
	return func() { over.Store(true); <-done }
}

// A signal that reaches a worker before its exec must not stop it there, where nobody would let it go; and what this takes must not be left of it.
func TestWorkersStartWhateverSignalsTheyGet(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{Limits: procpool.Limits{OpenFiles: 77}, MaxTasksPerChild: 1})
	sound(t, pool)
	stop := signalChildren()
	defer stop()
	for range 200 {
		b, err := futures.Submit(bounded(t), pool, bounds, 0).Result(bounded(t))
		require.NoError(t, err)
		require.Empty(t, b.Blocked, "the worker has signals blocked")
	}
}

func TestAWorkerInASandboxIsBornWithoutPrivileges(t *testing.T) {
	clean(t)
	held := newPool(t, procpool.Config{Sandbox: procpool.Sandbox{Read: []string{"/proc"}}})
	sound(t, held)
	b, err := futures.Submit(bounded(t), held, bounds, 0).Result(bounded(t))
	require.NoError(t, err)
	assert.Empty(t, b.Err)
	assert.Zero(t, b.Capabilities)
	assert.Equal(t, 1, b.NoNewPrivs)

	free := newPool(t, procpool.Config{})
	b, err = futures.Submit(bounded(t), free, bounds, 0).Result(bounded(t))
	require.NoError(t, err)
	if os.Geteuid() == 0 {
		assert.NotZero(t, b.Capabilities, "nobody has any here, so that it has none proves nothing")
	}
	assert.Zero(t, b.NoNewPrivs)
}

// announce says that a response of so many bytes follows.
var announce = futures.NewFunc("sandbox.Announce", func(ctx context.Context, bytes uint32) (string, error) {
	head := binary.BigEndian.AppendUint32([]byte{0xC1, 'c', 'f', 1}, bytes)
	if _, err := os.NewFile(ipc.FDResponses, "responses").Write(head); err != nil {
		return "", err
	}
	<-ctx.Done() // never
	return "", nil
})

// What a worker cannot have it cannot send: its host does not take memory for it.
func TestAWorkerCannotHaveItsHostTakeMoreMemoryThanItMayHave(t *testing.T) {
	clean(t)
	const limit = 64 << 20
	pool := limited(t, procpool.Limits{Memory: limit})
	err := futures.Submit(bounded(t), pool, announce, limit+1).Err(bounded(t))
	require.ErrorIs(t, crashOf(t, err), ipc.ErrProtocol)
	assert.ErrorContains(t, err, fmt.Sprintf("a body of %d bytes is over the limit of %d; results may have up to %d: see Config.Limits.Memory", limit+1, limit, limit))
	usable(t, pool)
}
