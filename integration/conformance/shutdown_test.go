//go:build unix

package conformance_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// shutdownPorts are test_shutdown.py.
var shutdownPorts = []port{
	{"test_shutdown", "test_run_after_shutdown", "E4", everywhere, runAfterShutdown},
	{"test_shutdown", "test_interpreter_shutdown", "E61", threads | one, mainReturns},
	{"test_shutdown", "test_submit_after_interpreter_shutdown", "E5", everywhere, submitFromLateDefer},
	{"test_shutdown", "test_hang_issue12364", "E51", everywhere, shutdownFinishes},
	{"test_shutdown", "test_cancel_futures", "E53 E54 P61", everywhere, cancelFutures},
	{"test_shutdown", "test_hang_gh83386", "E61", threads | one, mainReturnsAfterShutdown},
	{"test_shutdown", "test_hang_gh94440", "E56 P22", everywhere, onlyCancelledLeft},
	{"test_shutdown", "test_threads_terminate", "T3 E51", threads, threadsTerminate},
	{"test_shutdown", "test_processes_terminate", "E51 P5 P60", processes, processesTerminate},
	{"test_shutdown", "test_context_manager_shutdown", "E55", everywhere, contextManager},
	{"test_shutdown", "test_shutdown_no_wait", "E52", everywhere, shutdownNoWait},
	{"test_shutdown", "test_thread_names_assigned", "T6", threads, threadNamesAssigned},
	{"test_shutdown", "test_thread_names_default", "T6", threads, threadNamesDefault},
	{"test_shutdown", "test_cancel_futures_wait_false", "E53", threads | one, mainReturnsAfterCancel},
	{"test_shutdown", "test_shutdown_gh_132969_case_1", "P9", one, workerLeavesAfterShutdown},
	{"test_shutdown", "test_shutdown_gh_132969_case_2", "P9", one, failingWorkerLeavesAfterShutdown},
}

func runAfterShutdown(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	require.NoError(t, ex.Shutdown(ctx))
	f := futures.Submit(ctx, ex, power, pair{2, 5})
	require.Equal(t, futures.Finished, f.State(), "it is refused at once")
	require.ErrorIs(t, f.Err(ctx), futures.ErrShutdown)
	assert.NotErrorIs(t, f.Err(ctx), futures.ErrBrokenExecutor)
	for _, err := range futures.Map(ctx, ex, power, zipped(upTo(1), upTo(1))) {
		require.ErrorIs(t, err, futures.ErrShutdown)
	}
}

// submitFromLateDefer: what main still does after its pool is closed is refused, in words.
func submitFromLateDefer(t *testing.T, e executor) {
	var late *futures.Future[int]
	func() {
		ex := e.open(t, 1)
		defer func() { late = futures.Submit(within(t), ex, power, pair{1, 1}) }()
		defer ex.Close() // its error is the next test's
		require.NoError(t, futures.Submit(within(t), ex, power, pair{4, 2}).Err(within(t)))
	}()
	require.ErrorIs(t, late.Err(impatient()), futures.ErrShutdown)
}

func shutdownFinishes(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(8)...)
	d.meetAll(2)
	require.ErrorIs(t, ex.Shutdown(impatient()), context.Canceled) // it has begun
	d.open()
	require.NoError(t, ex.Close())
	for i, f := range fs {
		v, err := f.Result(impatient()) // all is over when Close returns
		require.NoError(t, err)
		assert.Equal(t, i, v)
	}
}

func cancelFutures(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(10)...)
	running := d.meetAll(2)
	require.ErrorIs(t, ex.Shutdown(impatient(), futures.CancelFutures()), context.Canceled)
	assert.Equal(t, 8, inState(fs, futures.Cancelled), "exactly those that had not started")
	for _, v := range running {
		v.tell(passOn)
	}
	done, pending, err := futures.Wait(ctx, fs, futures.AllCompleted) // which would never return in Python
	require.NoError(t, err)
	assert.Len(t, done, 10)
	assert.Empty(t, pending)
	require.NoError(t, ex.Close())
	finished := 0
	for _, f := range fs {
		if f.State() == futures.Finished {
			require.NoError(t, f.Err(ctx))
			finished++
		}
	}
	assert.Equal(t, 2, finished)
	assert.Equal(t, 2, d.count())
}

func onlyCancelledLeft(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	busy := futures.Submit(ctx, ex, pass, d.at(0))
	v := d.meet()
	f := futures.Submit(ctx, ex, pass, d.at(1))
	require.True(t, f.Cancel())
	require.ErrorIs(t, ex.Shutdown(impatient()), context.Canceled)
	v.tell(passOn)
	require.NoError(t, ex.Shutdown(ctx))
	require.NoError(t, busy.Err(ctx))
	assert.Equal(t, futures.Cancelled, f.State())
	assert.Equal(t, 1, d.count())
}

func threadsTerminate(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 5), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(3)...)
	d.meetAll(3) // three calls at once: three workers
	d.open()
	require.NoError(t, ex.Shutdown(ctx)) // and none is left, as the leak check sees
	requireResults(t, ctx, fs)
}

func processesTerminate(t *testing.T, e executor) {
	ctx, p, d := within(t), e.pool(t, 5, nil), newDoor(t)
	fs := submitAll(ctx, p, pass, d.errands(3)...)
	pids := map[int]bool{}
	for _, v := range d.meetAll(3) {
		pids[v.pid] = true
	}
	assert.Len(t, pids, 3)
	assert.Equal(t, 3, p.Stats().Started)
	d.open()
	require.NoError(t, p.Shutdown(ctx))
	requireResults(t, ctx, fs)
	assert.Empty(t, p.Stats().PIDs)
	require.NoError(t, e.pool(t, 5, nil).Shutdown(ctx), "a pool that was never used")
}

func contextManager(t *testing.T, e executor) {
	var fs []*futures.Future[int]
	func() {
		ex, err := e.new(settings{workers: 2})
		require.NoError(t, err)
		defer func() {
			assert.Equal(t, "the body failed", recover(), "and is not covered up")
		}()
		defer ex.Close() // nil, as everywhere
		fs = submitAll(within(t), ex, power, pair{0, 1}, pair{1, 1}, pair{2, 1})
		panic("the body failed")
	}()
	for i, f := range fs {
		v, err := f.Result(impatient()) // the defer has waited for it
		require.NoError(t, err)
		assert.Equal(t, i, v)
	}
}

func shutdownNoWait(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(5)...)
	require.ErrorIs(t, ex.Shutdown(impatient()), context.Canceled)
	d.open()
	requireResults(t, ctx, fs)
	require.NoError(t, ex.Shutdown(ctx)) // unlike Python's, a second one waits
}

func threadNamesAssigned(t *testing.T, _ executor) {
	assert.Equal(t, numbered("SpecialPool"), workerNames(t, "SpecialPool"))
}

func threadNamesDefault(t *testing.T, _ executor) {
	names := workerNames(t, "")
	prefix, _, _ := strings.Cut(names[0], "_")
	assert.Regexp(t, `^ThreadPoolExecutor-\d+$`, prefix)
	assert.Equal(t, numbered(prefix), names)
	assert.NotEqual(t, names, workerNames(t, ""), "each pool has a number of its own")
}

func workerLeavesAfterShutdown(t *testing.T, e executor) { leavesAfterShutdown(t, e, passOn) }

func failingWorkerLeavesAfterShutdown(t *testing.T, e executor) { leavesAfterShutdown(t, e, fail) }

// leavesAfterShutdown: a worker that has had its last call is replaced, even if the pool was shut down meanwhile and the
// call failed.
func leavesAfterShutdown(t *testing.T, e executor, f fate) {
	ctx, d := within(t), newDoor(t)
	p := e.pool(t, 1, func(c *procpool.Config) { c.MaxTasksPerChild = 1 })
	fs := submitAll(ctx, p, pass, d.errands(3)...)
	v := d.meet()
	require.ErrorIs(t, p.Shutdown(impatient()), context.Canceled)
	v.tell(f)
	d.open()
	if f == fail {
		require.ErrorIs(t, fs[0].Err(ctx), errBoom)
	}
	for _, f := range fs[1:] {
		require.NoError(t, f.Err(ctx))
	}
	require.NoError(t, p.Close())
}

// A program is what this test binary does when it is started as a host of its own, to be watched from outside. It returns
// the exit code.
const (
	programKey  = "CONFORMANCE_PROGRAM"
	executorKey = "CONFORMANCE_EXECUTOR"
	doorKey     = "CONFORMANCE_DOOR"
)

var programs = map[string]func() int{
	"return":                func() int { return host(func(futures.Executor) {}) },
	"shutdown, then return": func() int { return host(func(ex futures.Executor) { _ = ex.Shutdown(impatient()) }) },
	"cancel, then return": func() int {
		return host(func(ex futures.Executor) { _ = ex.Shutdown(impatient(), futures.CancelFutures()) })
	},
}

// host submits a call that never ends by itself and one behind it, waits for a line on stdin, and returns while the first is
// running.
func host(leave func(futures.Executor)) int {
	for _, e := range executors {
		if e.name != os.Getenv(executorKey) {
			continue
		}
		ex, err := e.new(settings{workers: 1})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		for i := range 2 {
			futures.Submit(context.Background(), ex, pass, errand{os.Getenv(doorKey), fmt.Sprint(i), i})
		}
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		leave(ex)
		return 0
	}
	return 1
}

func mainReturns(t *testing.T, e executor) { returnsFromMain(t, e, "return") }
func mainReturnsAfterShutdown(t *testing.T, e executor) {
	returnsFromMain(t, e, "shutdown, then return")
}
func mainReturnsAfterCancel(t *testing.T, e executor) { returnsFromMain(t, e, "cancel, then return") }

// returnsFromMain: unlike in Python nothing is finished behind main's back. The program ends at once, without a word, and so
// do its workers.
func returnsFromMain(t *testing.T, e executor, program string) {
	d := newDoor(t)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(within(t), self)
	cmd.Env = append(os.Environ(), programKey+"="+program, executorKey+"="+e.name, doorKey+"="+d.addr)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	v := d.meet()
	_, err = io.WriteString(stdin, "go\n")
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	v.awaitGone()
	assert.Empty(t, out.String())
	assert.Equal(t, 1, d.count())
}
