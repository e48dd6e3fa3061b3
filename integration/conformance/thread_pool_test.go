//go:build unix

package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/threadpool"
)

// threadPorts are test_thread_pool.py. What holds for other executors as well runs over them too.
var threadPorts = []port{
	{"test_thread_pool", "test_map_submits_without_iteration", "E21 E29", everywhere | sharing, mapIsLazy},
	{"test_thread_pool", "test_default_workers", "T1", threads, defaultWorkers},
	{"test_thread_pool", "test_saturation", "T3", threads, threadSaturation},
	{"test_thread_pool", "test_idle_thread_reuse", "T4 T5", threads, idleThreadReuse},
	{"test_thread_pool", "test_hang_global_shutdown_lock", "T13", everywhere | sharing, poolInsideCall},
	{"test_thread_pool", "test_process_fork_from_a_threadpool", "T13", threads, processesFromCalls},
	{"test_thread_pool", "test_executor_map_current_future_cancel", "E28", everywhere, mapCancelsAwaited},
}

func mapIsLazy(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	d.open()
	results := futures.Map(ctx, ex, pass, slices.Values(d.errands(2)))
	_, err := futures.Submit(ctx, ex, power, pair{2, 2}).Result(ctx)
	require.NoError(t, err) // a call that came before this one would have run
	assert.Zero(t, d.count())
	assert.Equal(t, []int{0, 1}, values(t, results))
	assert.Equal(t, 2, d.count())
}

func defaultWorkers(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 0), newDoor(t)
	want := min(32, runtime.GOMAXPROCS(0)+4)
	fs := submitAll(ctx, ex, pass, d.errands(want+3)...)
	d.meetAll(want)
	assert.Equal(t, want, inState(fs, futures.Running))
	d.open()
	requireResults(t, ctx, fs)
}

func threadSaturation(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 4), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(15*4)...)
	d.meetAll(4)
	assert.Equal(t, 4, inState(fs, futures.Running))
	d.open()
	requireResults(t, ctx, fs)
}

func idleThreadReuse(t *testing.T, e executor) {
	synctest.Test(t, func(t *testing.T) {
		ex, err := e.new(settings{workers: 5})
		require.NoError(t, err)
		name := futures.NewFunc("name", func(ctx context.Context, _ int) (string, error) {
			l, _ := pprof.Label(ctx, "worker")
			return l, nil
		})
		var names []string
		for i := range 3 {
			n, err := futures.Submit(t.Context(), ex, name, i).Result(t.Context())
			require.NoError(t, err)
			names = append(names, n)
			synctest.Wait() // a worker is idle a moment after its result is out
		}
		assert.Len(t, slices.Compact(names), 1)
		require.NoError(t, ex.Close())
	})
}

// poolInsideCall: a call may use a pool of its own, and is not caught in the locks of the one it runs in.
func poolInsideCall(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 2)
	for _, f := range submitAll(ctx, ex, nested, pair{2, 8}, pair{3, 2}) {
		n, err := f.Result(ctx)
		require.NoError(t, err)
		assert.Contains(t, []int{256, 9}, n)
	}
}

// processesFromCalls starts workers from the goroutines of a thread pool. A worker must outlive the thread that started it.
func processesFromCalls(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 2)
	viaProcess := futures.NewFunc("viaProcess", func(ctx context.Context, p pair) (n int, err error) {
		pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1})
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, pool.Close()) }()
		runtime.LockOSThread() // and never unlocked: the thread ends with this call's goroutine
		return futures.Submit(ctx, pool, power, p).Result(ctx)
	})
	for _, f := range submitAll(ctx, ex, viaProcess, pair{2, 8}, pair{2, 8}) {
		n, err := f.Result(ctx)
		require.NoError(t, err)
		assert.Equal(t, 256, n)
	}
}

func mapCancelsAwaited(t *testing.T, e executor) {
	ex, d := e.open(t, 1), newDoor(t)
	busy := futures.Submit(within(t), ex, pass, d.at(0))
	v := d.meet()
	ctx, cancel := context.WithCancelCause(within(t))
	errLate := errors.New("too late")
	behind := newDoor(t)
	behind.open()
	inputs := func(yield func(errand) bool) {
		_ = yield(behind.at(0)) && yield(behind.at(1)) && yield(behind.at(2))
		cancel(errLate)
	}
	n := 0
	for _, err := range futures.Map(ctx, ex, pass, inputs) {
		require.ErrorIs(t, err, futures.ErrCancelled)
		require.ErrorIs(t, err, errLate)
		n++
	}
	assert.Equal(t, 3, n, "the one that was awaited, and those behind it")
	v.tell(passOn)
	require.NoError(t, busy.Err(within(t)))
	require.NoError(t, ex.Close())
	assert.Zero(t, behind.count(), "none of them runs later")
}

func workerNames(t *testing.T, prefix string) []string {
	ctx, d := within(t), newDoor(t)
	ex, err := threadpool.New(threadpool.Config{MaxWorkers: 5, NamePrefix: prefix})
	require.NoError(t, err)
	var fs []*futures.Future[string]
	for i := range 5 {
		fs = append(fs, futures.Submit(ctx, ex, label, d.at(i)))
	}
	d.meetAll(5)
	d.open()
	require.NoError(t, ex.Close())
	var names []string
	for _, f := range fs {
		name, err := f.Result(ctx)
		require.NoError(t, err)
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func numbered(prefix string) (names []string) {
	for i := range 5 {
		names = append(names, fmt.Sprintf("%s_%d", prefix, i))
	}
	return names
}
