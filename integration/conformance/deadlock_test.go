//go:build unix

package conformance_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// deadlockPorts are test_deadlock.py: whatever goes wrong wherever, every future gets an outcome and the pool an end.
//
// Python breaks the pool over everything that cannot be decoded, and over nothing else but a lost process. Here the pool
// breaks over lost processes only, and with ReplaceWorker not even then.
var deadlockPorts = []port{
	{"test_deadlock", "test_error_at_task_pickle", "P31", processes | sharing, at(encodeArgument, fail, loses{})},
	{"row", "panic at argument encode", "P31", processes | sharing, at(encodeArgument, panics, loses{})},
	{"test_deadlock", "test_error_at_task_unpickle", "P33", processes | sharing, at(decodeArgument, fail, loses{})},
	{"row", "panic at argument decode", "P33", processes | sharing, at(decodeArgument, panics, loses{})},
	{"row", "Goexit at argument decode", "P33", processes | sharing, at(decodeArgument, goexit, loses{task: true})},
	{"test_deadlock", "test_exit_at_task_unpickle", "P33", processes, at(decodeArgument, exits, loses{worker: true})},
	{"test_deadlock", "test_crash_at_task_unpickle", "P33", processes, at(decodeArgument, killed, loses{worker: true})},
	{"test_deadlock", "test_error_during_func_exec_on_worker", "P37", everywhere | sharing, during(fail, loses{task: true})},
	{"row", "panic during func exec", "E8 P37", everywhere | sharing, during(panics, loses{task: true})},
	{"test_deadlock", "test_exit_during_func_exec_on_worker", "E8 P37", everywhere | sharing, during(goexit, loses{task: true})},
	{"row", "os.Exit during func exec", "P37 P40 P53", processes, during(exits, loses{worker: true})},
	{"test_deadlock", "test_crash_during_func_exec_on_worker", "P37 P40 P53", processes, during(killed, loses{worker: true})},
	{"test_deadlock", "test_error_during_result_pickle_on_worker", "P34", processes | sharing, at(encodeResult, fail, loses{})},
	{"row", "panic at result encode", "P34", processes | sharing, at(encodeResult, panics, loses{})},
	{"test_deadlock", "test_exit_during_result_pickle_on_worker", "P34", processes | sharing, at(encodeResult, goexit, loses{task: true})},
	{"row", "os.Exit at result encode", "P50", processes, at(encodeResult, exits, loses{worker: true})},
	{"test_deadlock", "test_crash_during_result_pickle_on_worker", "P50", processes, at(encodeResult, killed, loses{worker: true})},
	{"test_deadlock", "test_error_during_result_unpickle_in_result_handler", "P36", processes | sharing, at(decodeResult, fail, loses{})},
	{"row", "panic at result decode", "P36", processes | sharing, at(decodeResult, panics, loses{})},
	{"test_deadlock", "test_exit_during_result_unpickle_in_result_handler", "P36", processes | sharing, at(decodeResult, goexit, loses{})},
	{"test_deadlock", "test_shutdown_deadlock", "P47", processes, crashAfterShutdown},
	{"test_deadlock", "test_shutdown_deadlock_pickle", "P32", processes, shutdownAfterBadArgument},
	{"test_deadlock", "test_crash_big_data", "P48", processes, crashOnBigArgument},
	{"row", "crash in the middle of a big result", "P49", processes, crashInTheMiddleOfAnAnswer},
	{"test_deadlock", "test_gh105829_should_not_deadlock_if_wakeup_pipe_full", "P23", processes, submitNeverBlocks},
}

// loses says what a mishap costs besides the call that had it.
type loses struct {
	worker bool // the process is lost, and with BreakPool the pool
	task   bool // it is the function's own failure
}

// at is a mishap of a value on its way.
func at(where place, what fate, l loses) func(*testing.T, executor) {
	return func(t *testing.T, e executor) {
		ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
		bystander := futures.Submit(ctx, ex, pass, d.at(0))
		v := d.meet()
		f := futures.Submit(ctx, ex, carry, thither{trap{where, what}})
		l.check(t, e, ex, f, carry.Name(), what, bystander, v)
	}
}

// during is a mishap of the function.
func during(what fate, l loses) func(*testing.T, executor) {
	return func(t *testing.T, e executor) {
		ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
		bystander := futures.Submit(ctx, ex, pass, d.at(0))
		v := d.meet()
		f := futures.Submit(ctx, ex, suffer, what)
		l.check(t, e, ex, f, suffer.Name(), what, bystander, v)
	}
}

// check looks at the call that had the mishap, at one that runs beside it, and at what the executor is good for afterwards.
func (l loses) check(t *testing.T, e executor, ex futures.Executor, f futures.Awaitable, name string, what fate,
	bystander *futures.Future[int], v *visitor) {
	ctx := within(t)
	err := f.Err(ctx)
	var task *futures.TaskError
	var crash *procpool.WorkerCrashError
	switch {
	case l.worker:
		require.ErrorAs(t, err, &crash)
		assert.Equal(t, name, crash.Func)
		assert.NotZero(t, crash.PID)
		assert.Contains(t, err.Error(), fmt.Sprint(crash.PID))
		if what == exits {
			assert.Equal(t, exitCode, crash.ExitCode)
		} else {
			assert.Equal(t, syscall.SIGKILL, crash.Signal)
		}
	case l.task:
		require.ErrorAs(t, err, &task)
		assert.Equal(t, what != fail, task.Panicked)
		if what == fail {
			assert.ErrorIs(t, err, errBoom)
		}
	default:
		require.ErrorIs(t, err, futures.ErrNotShareable)
		assert.ErrorContains(t, err, name)
	}
	if l.worker && e.onCrash == procpool.BreakPool {
		require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
		require.ErrorIs(t, bystander.Err(ctx), procpool.ErrBrokenProcessPool)
		require.ErrorIs(t, futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx), procpool.ErrBrokenProcessPool)
		require.NoError(t, ex.Close())
		return
	}
	require.NotErrorIs(t, err, futures.ErrBrokenExecutor)
	again, err := futures.Submit(ctx, ex, power, pair{2, 8}).Result(ctx)
	require.NoError(t, err, "nobody else notices")
	assert.Equal(t, 256, again)
	v.tell(passOn)
	require.NoError(t, bystander.Err(ctx))
}

func crashAfterShutdown(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	f := futures.Submit(ctx, ex, pass, d.at(0))
	behind := futures.Submit(ctx, ex, power, pair{2, 8})
	v := d.meet()
	require.ErrorIs(t, ex.Shutdown(impatient()), context.Canceled)
	v.tell(killed)
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, f.Err(ctx), &crash)
	if e.onCrash == procpool.BreakPool {
		require.ErrorIs(t, behind.Err(ctx), procpool.ErrBrokenProcessPool)
	} else {
		require.NoError(t, behind.Err(ctx))
	}
	require.NoError(t, ex.Close())
}

func shutdownAfterBadArgument(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	require.NoError(t, futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx)) // a worker is there
	f := futures.Submit(ctx, ex, carry, thither{trap{encodeArgument, fail}})
	require.ErrorIs(t, ex.Shutdown(impatient()), context.Canceled)
	require.ErrorIs(t, f.Err(ctx), futures.ErrNotShareable)
	require.NoError(t, ex.Close())
}

// bigger than any pipe.
const big = 1 << 20

// crashOnBigArgument: the host is stuck in the middle of an argument, because the worker is frozen, when the worker dies.
func crashOnBigArgument(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	pid, err := futures.Submit(ctx, ex, suffer, passOn).Result(ctx)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	f := futures.Submit(ctx, ex, size, make([]byte, big))
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	n, err := f.Result(ctx)
	if e.onCrash == procpool.BreakPool {
		require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
	} else {
		require.NoError(t, err, "it had not started, so another worker runs it")
		assert.Equal(t, big, n)
	}
	require.NoError(t, ex.Close())
}

// crashInTheMiddleOfAnAnswer: the worker dies when the host has had half of a frame.
func crashInTheMiddleOfAnAnswer(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	f := futures.Submit(ctx, ex, halfAnAnswer, big)
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, f.Err(ctx), &crash)
	assert.Equal(t, syscall.SIGKILL, crash.Signal)
	if e.onCrash == procpool.ReplaceWorker {
		b, err := futures.Submit(ctx, ex, blob, big).Result(ctx) // a whole one of the same size
		require.NoError(t, err)
		assert.Len(t, b, big)
	}
	require.NoError(t, ex.Close())
}

// submitNeverBlocks: the worker is frozen and the pipes to it are full.
func submitNeverBlocks(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	pid, err := futures.Submit(ctx, ex, suffer, passOn).Result(ctx)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	var fs []*futures.Future[int]
	for range 6 {
		fs = append(fs, futures.Submit(ctx, ex, size, make([]byte, big/4)))
	}
	require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
	for _, f := range fs {
		n, err := f.Result(ctx)
		require.NoError(t, err)
		require.Equal(t, big/4, n)
	}
}
