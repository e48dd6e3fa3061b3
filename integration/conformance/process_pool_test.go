//go:build unix

package conformance_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// processPorts are test_process_pool.py.
var processPorts = []port{
	{"test_process_pool", "test_killed_child", "P40 P44", processes, killedChild},
	{"test_process_pool", "test_map_chunksize", "P70 P71", processes | sharing, mapChunksize},
	{"test_process_pool", "test_traceback", "P30", everywhere | sharing, traceback},
	{"test_process_pool", "test_ressources_gced_in_workers", "P24", processes, collectedInWorkers},
	{"test_process_pool", "test_saturation", "P5", processes, processSaturation},
	{"test_process_pool", "test_idle_process_reuse_one", "P5 P6", processes, idleProcessReuseOne},
	{"test_process_pool", "test_idle_process_reuse_multiple", "P5 P6", one, idleProcessReuseMultiple},
	{"test_process_pool", "test_max_tasks_per_child", "P8", one, maxTasksPerChild},
	{"test_process_pool", "test_max_tasks_early_shutdown", "P9", one, maxTasksEarlyShutdown},
	{"test_process_pool", "test_max_tasks_per_child_pending_tasks_gh115634", "P9", one, maxTasksBacklog},
	{"test_process_pool", "test_shutdown_no_wait_max_tasks_gh119592", "P9", one, maxTasksShutdownNoWait},
	{"test_process_pool", "test_failed_worker_replacement_breaks_pool", "P10", one, failedReplacement},
	{"test_process_pool", "test_force_shutdown_during_max_tasks_worker_exit", "P10", one, killDuringRecycling},
	{"test_process_pool", "test_python_finalization_error", "E11 P52", one, workerCannotStart},
	{"test_process_pool", "test_terminate_workers", "P63", processes, terminateWorkers},
	{"test_process_pool", "test_kill_workers", "P63", processes, killWorkers},
	{"test_process_pool", "test_force_shutdown_workers", "P63", processes, forceShutdown},
	{"test_process_pool", "test_force_shutdown_workers_not_started_yet", "P4 P64", one, forceShutdownNotStarted},
	{"test_process_pool", "test_force_shutdown_workers_dead_workers", "P64", one, forceShutdownDead},
	{"test_process_pool", "test_force_shutdown_workers_stops_pool", "M4 P65", processes, forceShutdownStops},
	{"test_process_pool", "test_broken_process_pool_traceback", "P42", one, ownErrors},
	{"test_process_pool", "test_traceback_when_child_process_terminates_abruptly", "P53", processes, crashNamesTheProcess},
}

func killedChild(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(3)...)
	require.NoError(t, syscall.Kill(d.meet().pid, syscall.SIGTERM))
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, fs[0].Err(ctx), &crash)
	d.open()
	assert.Equal(t, syscall.SIGTERM, crash.Signal)
	if e.onCrash == procpool.ReplaceWorker {
		require.NotErrorIs(t, fs[0].Err(ctx), futures.ErrBrokenExecutor)
		require.NoError(t, fs[1].Err(ctx))
		require.NoError(t, fs[2].Err(ctx))
		require.NoError(t, futures.Submit(ctx, ex, power, pair{2, 8}).Err(ctx))
		return
	}
	for _, f := range fs {
		require.ErrorIs(t, f.Err(ctx), procpool.ErrBrokenProcessPool)
	}
	late := futures.Submit(ctx, ex, power, pair{2, 8})
	require.Equal(t, futures.Finished, late.State(), "refused at once")
	require.ErrorIs(t, late.Err(ctx), procpool.ErrBrokenProcessPool)
}

func mapChunksize(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 2)
	inputs := func() func(func(pair) bool) { return zipped(upTo(14), upTo(14)) }
	for _, chunksize := range []int{6, 20, 14} {
		assert.Equal(t, powers(14), values(t, futures.Map(ctx, ex, power, inputs(), futures.Chunksize(chunksize))))
	}
	for _, wrong := range []int{0, -1} {
		n := 0
		for _, err := range futures.Map(ctx, ex, power, inputs(), futures.Chunksize(wrong)) {
			require.ErrorContains(t, err, "Chunksize")
			n++
		}
		assert.Equal(t, 1, n)
	}
}

func traceback(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	var task *futures.TaskError
	err := futures.Submit(ctx, ex, fails, 0).Err(ctx)
	require.ErrorAs(t, err, &task)
	assert.Equal(t, "fails", task.Func)
	assert.Equal(t, "*fmt.wrapError", task.Type)
	assert.Equal(t, "123: boom", task.Message)
	assert.ErrorIs(t, err, errBoom, "it keeps its identity")
	assert.False(t, task.Panicked)

	err = futures.Submit(ctx, ex, deepPanic, 0).Err(ctx)
	require.ErrorAs(t, err, &task)
	assert.True(t, task.Panicked)
	assert.ErrorIs(t, err, errBoom)
	assert.Contains(t, task.Stack, "whereItPanics")
	assert.Contains(t, fmt.Sprintf("%+v", task), "tasks_test.go")
}

func collectedInWorkers(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	pid, err := futures.Submit(ctx, ex, collect, &keepsake{Door: d.addr}).Result(ctx)
	require.NoError(t, err)
	for d.count() == 0 { // the collector keeps what may be an address in a goroutine that it meets in the middle of something, until the next time
		again, err := futures.Submit(ctx, ex, collect, &keepsake{}).Result(ctx)
		require.NoError(t, err, "the argument is not collected while its worker lives")
		require.Equal(t, pid, again)
	}
	assert.Equal(t, pid, d.meet().pid)
}

func processSaturation(t *testing.T, e executor) {
	ctx, d := within(t), newDoor(t)
	p := e.pool(t, 2, nil)
	fs := submitAll(ctx, p, pass, d.errands(10)...)
	d.meetAll(2)
	assert.Equal(t, 2, inState(fs, futures.Running), "RUNNING means that it runs (row P21)")
	assert.Equal(t, 2, p.Stats().Workers)
	d.open()
	requireResults(t, ctx, fs)
}

func idleProcessReuseOne(t *testing.T, e executor) {
	ctx, p := within(t), e.pool(t, 4, nil)
	for range 3 {
		require.NoError(t, futures.Submit(ctx, p, power, pair{6, 7}).Err(ctx))
	}
	want := 1
	if e.recycles() {
		want = 2 // the third call is the last one of its worker, and has the successor warmed
	}
	assert.Equal(t, want, p.Stats().Started)
}

func idleProcessReuseMultiple(t *testing.T, e executor) {
	ctx := within(t)
	p := e.pool(t, 5, func(c *procpool.Config) { c.MaxTasksPerChild = 0 })
	for range 3 {
		second := futures.Submit(ctx, p, power, pair{25, 2}) // beside the first, or after it
		require.NoError(t, futures.Submit(ctx, p, power, pair{12, 2}).Err(ctx))
		require.NoError(t, second.Err(ctx))
	}
	assert.LessOrEqual(t, p.Stats().Started, 3)
	require.NoError(t, p.Close())
}

func maxTasksPerChild(t *testing.T, e executor) {
	ctx := within(t)
	p := e.pool(t, 1, func(c *procpool.Config) { c.MaxTasksPerChild = 3 })
	var pids []int
	for _, f := range []fate{passOn, fail, passOn, passOn, passOn, passOn, passOn} { // a call that fails counts
		pid, err := futures.Submit(ctx, p, suffer, f).Result(ctx)
		if f == fail {
			require.ErrorIs(t, err, errBoom)
			pid = pids[len(pids)-1]
		}
		pids = append(pids, pid)
	}
	assert.Equal(t, []int{pids[0], pids[0], pids[0], pids[3], pids[3], pids[3], pids[6]}, pids)
	assert.Len(t, slices.Compact(slices.Clone(pids)), 3)
	assert.Equal(t, 2, p.Stats().Recycled)
}

func maxTasksEarlyShutdown(t *testing.T, e executor) {
	ctx := within(t)
	p := e.pool(t, 3, func(c *procpool.Config) { c.MaxTasksPerChild = 1 })
	fs := submitAll(ctx, p, power, pair{0, 1}, pair{1, 1}, pair{2, 1}, pair{3, 1}, pair{4, 1}, pair{5, 1})
	require.NoError(t, p.Close())
	requireResults(t, impatient(), fs)
}

func maxTasksBacklog(t *testing.T, e executor) {
	ctx, d := within(t), newDoor(t)
	p := e.pool(t, 2, func(c *procpool.Config) { c.MaxTasksPerChild = 2 })
	fs := submitAll(ctx, p, pass, d.errands(12)...)
	d.meetAll(2)
	d.open()
	requireResults(t, ctx, fs)
	assert.GreaterOrEqual(t, p.Stats().Recycled, 5)
}

func maxTasksShutdownNoWait(t *testing.T, e executor) {
	ctx, d := within(t), newDoor(t)
	p := e.pool(t, 1, func(c *procpool.Config) { c.MaxTasksPerChild = 1 })
	fs := submitAll(ctx, p, pass, d.errands(4)...)
	d.meet().tell(passOn)
	require.ErrorIs(t, p.Shutdown(impatient()), context.Canceled)
	d.open()
	requireResults(t, ctx, fs)
}

// vanishing is this worker's program under a name that can be taken away.
func vanishing(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	link := filepath.Join(t.TempDir(), "worker")
	require.NoError(t, os.Symlink(self, link))
	return link
}

// failedReplacement: no successor can be started, and nobody waits for one for ever.
func failedReplacement(t *testing.T, e executor) {
	ctx := within(t)
	program := vanishing(t)
	p := e.pool(t, 1, func(c *procpool.Config) { c.Worker, c.MaxTasksPerChild = procpool.Command(program), 2 })
	require.NoError(t, futures.Submit(ctx, p, power, pair{2, 2}).Err(ctx))
	require.NoError(t, os.Remove(program))
	last := futures.Submit(ctx, p, power, pair{2, 2}) // of the worker's life
	behind := futures.Submit(ctx, p, power, pair{2, 2})
	require.ErrorIs(t, behind.Err(ctx), procpool.ErrBrokenProcessPool)
	require.ErrorContains(t, behind.Err(ctx), "worker cannot be started")
	require.NoError(t, last.Err(ctx), "its worker is well")
	require.ErrorIs(t, futures.Submit(ctx, p, power, pair{2, 2}).Err(ctx), procpool.ErrBrokenProcessPool)
}

// killDuringRecycling: workers that are killed on their way out, or while their successors start, are not replaced.
func killDuringRecycling(t *testing.T, e executor) {
	ctx, d := within(t), newDoor(t)
	p := e.pool(t, 2, func(c *procpool.Config) { c.MaxTasksPerChild = 1 })
	fs := submitAll(ctx, p, pass, d.errands(6)...)
	d.meetAll(2)
	p.KillWorkers()
	started := p.Stats().Started
	for _, f := range fs {
		require.Error(t, f.Err(ctx))
	}
	require.NoError(t, p.Close())
	assert.Equal(t, started, p.Stats().Started)
	assert.Equal(t, 2, d.count())
}

// workerCannotStart: what could be noticed only when a worker is started is told to the calls, and Submit neither fails nor
// loses one.
func workerCannotStart(t *testing.T, e executor) {
	ctx := within(t)
	program := vanishing(t)
	p := e.pool(t, 2, func(c *procpool.Config) { c.Worker = procpool.Command(program) })
	require.NoError(t, os.Remove(program))
	for _, f := range submitAll(ctx, p, power, pair{2, 3}, pair{2, 3}, pair{2, 3}) {
		require.ErrorIs(t, f.Err(ctx), procpool.ErrBrokenProcessPool)
		var start *procpool.StartError
		require.ErrorAs(t, f.Err(ctx), &start)
		assert.Contains(t, start.Command, program)
	}
	require.NoError(t, p.Close())
}

func terminateWorkers(t *testing.T, e executor) {
	force(t, e, (*procpool.ProcessPoolExecutor).TerminateWorkers, syscall.SIGTERM)
}

func killWorkers(t *testing.T, e executor) {
	force(t, e, (*procpool.ProcessPoolExecutor).KillWorkers, syscall.SIGKILL)
}

// force: the running call dies with its worker, the rest is cancelled, and nothing is waited for.
func force(t *testing.T, e executor, end func(*procpool.ProcessPoolExecutor), sig syscall.Signal) {
	ctx, p, d := within(t), e.pool(t, 1, nil), newDoor(t)
	fs := submitAll(ctx, p, pass, d.errands(3)...)
	v := d.meet()
	end(p)
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, fs[0].Err(ctx), &crash)
	assert.Equal(t, v.pid, crash.PID)
	assert.Equal(t, sig, crash.Signal)
	require.ErrorIs(t, fs[0].Err(ctx), procpool.ErrBrokenProcessPool)
	for _, f := range fs[1:] {
		require.ErrorIs(t, f.Err(ctx), futures.ErrCancelled)
	}
	end(p) // again: nothing is left to end
	require.NoError(t, p.Close())
	assert.Equal(t, 1, d.count())
}

func forceShutdown(t *testing.T, e executor) {
	ctx, p, d := within(t), e.pool(t, 3, nil), newDoor(t)
	submitAll(ctx, p, pass, d.errands(3)...)
	all := d.meetAll(3)
	p.TerminateWorkers()
	for _, v := range all { // every one of them
		v.awaitGone()
	}
	p.KillWorkers() // may follow
	require.NoError(t, p.Close())
}

func forceShutdownNotStarted(t *testing.T, e executor) {
	for _, end := range []func(*procpool.ProcessPoolExecutor){
		(*procpool.ProcessPoolExecutor).TerminateWorkers, (*procpool.ProcessPoolExecutor).KillWorkers,
	} {
		p := e.pool(t, 2, nil)
		assert.Zero(t, p.Stats().Started, "New starts nothing")
		end(p)
		require.ErrorIs(t, futures.Submit(within(t), p, power, pair{2, 2}).Err(within(t)), futures.ErrShutdown)
		require.NoError(t, p.Close())
	}
}

func forceShutdownDead(t *testing.T, e executor) {
	ctx := within(t)
	p := e.pool(t, 1, func(c *procpool.Config) { c.OnCrash = procpool.BreakPool })
	require.ErrorIs(t, futures.Submit(ctx, p, suffer, killed).Err(ctx), procpool.ErrBrokenProcessPool)
	p.TerminateWorkers()
	p.KillWorkers()
	require.NoError(t, p.Close())
	require.ErrorIs(t, futures.Submit(ctx, p, power, pair{2, 2}).Err(ctx), procpool.ErrBrokenProcessPool)
}

func forceShutdownStops(t *testing.T, e executor) {
	ctx, p := within(t), e.pool(t, 1, nil)
	require.NoError(t, futures.Submit(ctx, p, power, pair{2, 2}).Err(ctx))
	p.KillWorkers()
	require.ErrorIs(t, futures.Submit(ctx, p, power, pair{2, 2}).Err(ctx), futures.ErrShutdown)
	require.NoError(t, p.Close())
}

// ownErrors: every future that is lost in a crash has an error of its own, with the same evidence.
func ownErrors(t *testing.T, e executor) {
	ctx, d := within(t), newDoor(t)
	p := e.pool(t, 1, func(c *procpool.Config) { c.OnCrash = procpool.BreakPool })
	fs := submitAll(ctx, p, pass, d.errands(3)...)
	v := d.meet()
	v.tell(exits)
	seen := map[*procpool.WorkerCrashError]bool{}
	for _, f := range fs {
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, f.Err(ctx), &crash)
		assert.Equal(t, v.pid, crash.PID)
		assert.Equal(t, exitCode, crash.ExitCode)
		assert.Equal(t, pass.Name(), crash.Func)
		seen[crash] = true
	}
	assert.Len(t, seen, 3)
}

func crashNamesTheProcess(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	f := futures.Submit(ctx, ex, pass, d.at(0))
	v := d.meet()
	v.tell(exits)
	err := f.Err(ctx)
	require.ErrorContains(t, err, fmt.Sprintf("worker %d exited with code %d while it ran pass", v.pid, exitCode))
}
