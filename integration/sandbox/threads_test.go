//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

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

// The threads that start workers in sandboxes are restricted, and end before the workers begin. The runtime must clone none from them, and put nothing
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
	mustClose(t, pool)
	held, _ := restricted(t)
	assert.Zero(t, held, "restricted threads are left")
}

// A thread in the same sandbox as the worker would be what the worker can reach of its host. When the worker answers there is none.
func TestAWorkerRunsBesideNoThreadInItsSandbox(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{Sandbox: procpool.PureCPU})
	sound(t, pool)
	usable(t, pool)
	held, _ := restricted(t)
	assert.Zero(t, held)

	// So that this counts what it says: a thread that is.
	seen, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		runtime.LockOSThread() // for good
		assert.NoError(t, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		held, _ = restricted(t)
		close(seen)
	}()
	<-seen
	assert.Equal(t, 1, held)
	<-gone
}

// A host that is pid 1 waits for whatever children it has, and so gets news of workers that were not meant for it.
func TestAHostMayWaitForAllOfItsChildren(t *testing.T) {
	clean(t)
	for _, config := range []procpool.Config{{Sandbox: procpool.PureCPU}, {Limits: procpool.Limits{OpenFiles: 64}}} {
		stop, stopped := make(chan struct{}), make(chan struct{})
		var stops int
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
				}
				var status unix.WaitStatus
				if pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil); err == nil && pid > 0 && status.Stopped() {
					stops++
				}
				runtime.Gosched()
			}
		}()
		for n := range 20 {
			pool := newPool(t, config)
			got, err := futures.Submit(bounded(t), pool, square, n).Result(bounded(t))
			require.NoError(t, err)
			assert.Equal(t, n*n, got)
			mustClose(t, pool)
		}
		close(stop)
		<-stopped
		assert.NotZero(t, stops, "it got no news of a worker that is held, and so proves nothing")
	}
}

// abort ends its own process by a signal, as C's abort and runtimes that give up do.
var abort = futures.NewFunc("sandbox.Abort", func(context.Context, int) (int, error) {
	runtime.LockOSThread()
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGKILL); err != nil {
		return 0, err
	}
	select {}
})

// A worker may signal itself, so that it ends as it says.
func TestAWorkerInASandboxCanEndItself(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{Sandbox: procpool.PureCPU, OnCrash: procpool.ReplaceWorker})
	sound(t, pool)
	_, err := futures.Submit(bounded(t), pool, abort, 0).Result(bounded(t))
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	assert.Equal(t, unix.SIGKILL, crash.Signal)
}

// undie has the host trace one of the worker's threads, which then ends or stays. A process whose threads have not all been waited for is not over.
var undie = futures.NewFunc("sandbox.Undie", func(_ context.Context, stays bool) (int, error) {
	told := make(chan error)
	var traced func()
	traced = func() {
		runtime.LockOSThread() // for good
		if unix.Gettid() == unix.Getpid() {
			go traced() // elsewhere: this thread is taken
			select {}
		}
		told <- raw(unix.SYS_PTRACE, unix.PTRACE_TRACEME)
		if stays {
			select {}
		}
	}
	go traced()
	return os.Getpid(), <-told
})

// A worker has no way to stay with its host as something that does not end, with all that the host has for it.
func TestAWorkerThatHasItsHostTraceItEnds(t *testing.T) {
	for _, stays := range []bool{false, true} {
		t.Run(fmt.Sprintf("stays=%v", stays), func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{Sandbox: procpool.PureCPU, OnCrash: procpool.ReplaceWorker})
			sound(t, pool)
			pid, err := futures.Submit(bounded(t), pool, undie, stays).Result(bounded(t))
			if err == nil { // else it was taken for dead already
				_, err = futures.Submit(bounded(t), pool, abort, 0).Result(bounded(t))
			}
			var crash *procpool.WorkerCrashError
			require.ErrorAs(t, err, &crash)
			assert.Equal(t, unix.SIGKILL, crash.Signal, "%v", err)
			mustClose(t, pool)
			assert.ErrorIs(t, unix.Kill(max(pid, crash.PID), 0), unix.ESRCH, "it is still there")
		})
	}
}

// guess starts a process as the host starts workers, with a cookie that is probably wrong.
var guess = futures.NewFunc("sandbox.Guess", func(_ context.Context, cookie uint32) (string, error) {
	err := copyOfItself(&syscall.SysProcAttr{Cloneflags: uintptr(uint64(cookie) << 32)})
	return fmt.Sprint(err), nil
})

// Who guesses at the cookie that starts processes is ended, and so does not guess again. Without a sandbox the kernel takes no notice of cookies.
func TestAWorkerGuessesOnce(t *testing.T) {
	if !seesCopies {
		t.Skip("A PROCESSOR OF 32 BITS HAS NO COOKIES")
	}
	clean(t)
	held := newPool(t, procpool.Config{Sandbox: procpool.PureCPU, OnCrash: procpool.ReplaceWorker})
	sound(t, held)
	for _, cookie := range []uint32{1, 0x12345678, 1<<32 - 1} {
		_, err := futures.Submit(bounded(t), held, guess, cookie).Result(bounded(t))
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, err, &crash, "%#x", cookie)
		assert.Equal(t, unix.SIGSYS, crash.Signal)
	}
	said, err := futures.Submit(bounded(t), held, guess, 0).Result(bounded(t))
	require.NoError(t, err)
	assert.Contains(t, said, unix.EPERM.Error())

	free := newPool(t, procpool.Config{})
	said, err = futures.Submit(bounded(t), free, guess, 0x12345678).Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, "<nil>", said, "nobody can do it here, so that a sandbox stops it proves nothing")
}
