package threadpool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/threadpool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

// quiet is a logger that nobody hears.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// do runs the function that is its argument, which only an executor in this process can.
var do = futures.NewFunc("do", func(ctx context.Context, body func(context.Context) error) (bool, error) {
	err := body(ctx)
	return err == nil, err
})

// submit is Submit of do.
func submit(t *testing.T, pool futures.Executor, body func(context.Context) error) *futures.Future[bool] {
	return futures.Submit(t.Context(), pool, do, body)
}

// open makes a pool that is closed with the test.
func open(t *testing.T, config threadpool.Config) *threadpool.ThreadPoolExecutor {
	t.Helper()
	pool, err := threadpool.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pool.Close()) })
	return pool
}

// A gate keeps calls in their bodies until the test opens it.
type gate struct {
	entered chan struct{} // one for each call that came to it
	opened  chan struct{}
}

func newGate() *gate { return &gate{make(chan struct{}, 1000), make(chan struct{})} }

func (g *gate) wait(context.Context) error {
	g.entered <- struct{}{}
	<-g.opened
	return nil
}

func (g *gate) open() { close(g.opened) }

func nothing(context.Context) error { return nil }

// worker is the name of the worker that runs a body.
func worker(ctx context.Context) string {
	name, _ := pprof.Label(ctx, "worker")
	return name
}

// done is a ctx that is done because of cause.
func done(cause error) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	return ctx
}

// test_thread_pool::test_default_workers, row T1
func TestMaxWorkersByDefault(t *testing.T) {
	pool := open(t, threadpool.Config{})
	want := min(32, runtime.GOMAXPROCS(0)+4)
	g := newGate()
	for range want {
		submit(t, pool, g.wait)
	}
	for range want {
		<-g.entered
	}
	extra := submit(t, pool, nothing)
	assert.Equal(t, futures.Pending, extra.State())
	g.open()
	assert.NoError(t, extra.Err(t.Context()))
}

// executor.py::ExecutorTest::test_max_workers_negative, row T2: every mistake is reported
func TestNewRejectsAWrongConfig(t *testing.T) {
	pool, err := threadpool.New(threadpool.Config{
		MaxWorkers:  -1,
		MaxQueue:    -2,
		Initializer: futures.Bind(futures.Declare[int, int]("far"), 1),
	})
	assert.Nil(t, pool)
	assert.ErrorContains(t, err, "Config.MaxWorkers is -1")
	assert.ErrorContains(t, err, "Config.MaxQueue is -2")
	assert.ErrorContains(t, err, `"far" is only declared`)
	assert.ErrorIs(t, err, futures.ErrNoBody)
}

// test_thread_pool::test_saturation and test_shutdown::test_threads_terminate, row T3: one worker for each call while
// none is idle, and never more than MaxWorkers
func TestWorkersStartOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := open(t, threadpool.Config{MaxWorkers: 4})
		g := newGate()
		for i := range 6 {
			submit(t, pool, g.wait)
			synctest.Wait()
			assert.Len(t, g.entered, min(i+1, 4), "calls that run")
		}
		g.open()
	})
}

// test_thread_pool::test_idle_thread_reuse, rows T4 and T5
func TestAnIdleWorkerIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := open(t, threadpool.Config{MaxWorkers: 4, NamePrefix: "w"})
		for range 5 {
			var name string
			require.NoError(t, submit(t, pool, func(ctx context.Context) error { name = worker(ctx); return nil }).Err(t.Context()))
			assert.Equal(t, "w_0", name)
			synctest.Wait() // until the worker is idle
		}
	})
}

// Two calls at once need two workers, even if one is idle.
func TestOneIdleWorkerIsNotCountedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := open(t, threadpool.Config{MaxWorkers: 4})
		require.NoError(t, submit(t, pool, nothing).Err(t.Context()))
		synctest.Wait()
		g := newGate()
		submit(t, pool, g.wait)
		submit(t, pool, g.wait)
		submit(t, pool, g.wait)
		synctest.Wait()
		assert.Len(t, g.entered, 3)
		g.open()
	})
}

// test_shutdown::test_thread_names_assigned, row T6
func TestWorkerNames(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 3, NamePrefix: "SpecialPool"})
	g := newGate()
	names := make(chan string, 3)
	for range 3 {
		submit(t, pool, func(ctx context.Context) error { names <- worker(ctx); return g.wait(ctx) })
	}
	assert.ElementsMatch(t, []string{"SpecialPool_0", "SpecialPool_1", "SpecialPool_2"}, []string{<-names, <-names, <-names})
	g.open()
}

// test_shutdown::test_thread_names_default, row T6
func TestWorkerNamesByDefault(t *testing.T) {
	names := map[string]bool{}
	for range 2 {
		pool := open(t, threadpool.Config{})
		require.NoError(t, submit(t, pool, func(ctx context.Context) error { names[worker(ctx)] = true; return nil }).Err(t.Context()))
	}
	assert.Len(t, names, 2, "each pool has a number of its own")
	for name := range names {
		assert.Regexp(t, `^ThreadPoolExecutor-\d+_0$`, name)
	}
}

// row T6: the name is on the goroutine as well, where profiles find it
func TestTheGoroutineCarriesTheName(t *testing.T) {
	labels := futures.NewFunc("labels", func(ctx context.Context, _ int) (int, error) { // which pprof.Do takes back, to what its ctx has
		pprof.Do(ctx, pprof.Labels("phase", "start"), func(context.Context) {})
		return 0, nil
	})
	pool := open(t, threadpool.Config{NamePrefix: "profiled", Initializer: futures.Bind(labels, 0)})
	g := newGate()
	submit(t, pool, g.wait)
	<-g.entered
	var text testWriter
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&text, 1))
	assert.Contains(t, string(text), `"worker":"profiled_0"`)
	g.open()
}

type testWriter []byte

func (w *testWriter) Write(p []byte) (int, error) { *w = append(*w, p...); return len(p), nil }

// row E3 and T12
func TestCallsStartInTheOrderOfSubmit(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	var order []int
	var last *futures.Future[bool]
	for i := range 100 {
		last = submit(t, pool, func(context.Context) error { order = append(order, i); return nil })
	}
	require.NoError(t, last.Err(t.Context()))
	for i := range 100 {
		assert.Equal(t, i, order[i])
	}
}

// executor.py::ExecutorTest::test_submit, row E1: Submit waits for nobody
func TestSubmitDoesNotWaitForAWorker(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	g := newGate()
	var fs []*futures.Future[bool]
	for range 1000 {
		fs = append(fs, submit(t, pool, g.wait))
	}
	g.open()
	finished, _, err := futures.Wait(t.Context(), fs, futures.AllCompleted)
	assert.NoError(t, err)
	assert.Len(t, finished, 1000)
}

// row T11, divergence: a cancelled call is gone at once, and its waiters know (row C9)
func TestACancelledCallIsSkipped(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	g := newGate()
	submit(t, pool, g.wait)
	<-g.entered
	ran := false
	f := submit(t, pool, func(context.Context) error { ran = true; return nil })
	last := submit(t, pool, nothing)
	assert.True(t, f.Cancel())
	_, pending, err := futures.Wait(t.Context(), []*futures.Future[bool]{f}, futures.AllCompleted)
	assert.NoError(t, err)
	assert.Empty(t, pending)
	g.open()
	require.NoError(t, last.Err(t.Context()))
	assert.False(t, ran)
}

// test_deadlock::test_exit_during_func_exec_on_worker, row E8: whatever way a call goes, its worker stays
func TestAWorkerSurvivesItsCalls(t *testing.T) {
	var started atomic.Int32
	count := futures.NewFunc("count", func(context.Context, int) (int, error) { return int(started.Add(1)), nil })
	pool := open(t, threadpool.Config{MaxWorkers: 1, NamePrefix: "tough", Initializer: futures.Bind(count, 0)})
	for _, tt := range []struct {
		name     string
		body     func(context.Context) error
		panicked bool
		text     string
	}{
		{"error", func(context.Context) error { return errBoom }, false, "do: boom"},
		{"panic", func(context.Context) error { panic("doh!") }, true, "do: panic: doh!"},
		{"nil panic", func(context.Context) error { panic(nil) }, true, "panic called with nil argument"},
		{"goexit", func(context.Context) error { runtime.Goexit(); return nil }, true, "runtime.Goexit"},
		{"nil map", func(context.Context) error { var m map[int]int; m[1] = 1; return nil }, true, "nil map"}, //nolint:staticcheck // the panic is what it is for
	} {
		t.Run(tt.name, func(t *testing.T) {
			var task *futures.TaskError
			require.ErrorAs(t, submit(t, pool, tt.body).Err(t.Context()), &task)
			assert.Equal(t, tt.panicked, task.Panicked)
			assert.ErrorContains(t, task, tt.text)
			var name string
			require.NoError(t, submit(t, pool, func(ctx context.Context) error { name = worker(ctx); return nil }).Err(t.Context()))
			assert.Equal(t, "tough_0", name)
		})
	}
	assert.EqualValues(t, 2, started.Load(), "once, and once more after Goexit")
}

// Goexit takes goroutines, and nothing else: not the calls that wait, nor the end of the pool.
func TestGoexitOfEveryWorker(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 2})
	var lost, kept []*futures.Future[bool]
	for range 50 {
		lost = append(lost, submit(t, pool, func(context.Context) error { runtime.Goexit(); return nil }))
		kept = append(kept, submit(t, pool, nothing))
	}
	require.NoError(t, pool.Shutdown(t.Context()))
	for i := range lost {
		assert.ErrorContains(t, lost[i].Err(done(nil)), "Goexit")
		assert.NoError(t, kept[i].Err(done(nil)))
	}
}

// executor.py::ExecutorTest::test_swallows_falsey_exceptions, row E9
func TestATypedNilIsAFailure(t *testing.T) {
	pool := open(t, threadpool.Config{})
	var none *futures.TaskError
	f := submit(t, pool, func(context.Context) error { return none })
	assert.Error(t, f.Err(t.Context()))
}

// executor.py::ExecutorTest::test_no_stale_references, row E10
func TestAFinishedCallKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := open(t, threadpool.Config{MaxWorkers: 1})
		read := futures.NewFunc("read", func(_ context.Context, p *[1 << 16]byte) (*[1 << 17]byte, error) { return new([1 << 17]byte), nil })
		arg := new([1 << 16]byte)
		goneArg := weak.Make(arg)
		f := futures.Submit(t.Context(), pool, read, arg)
		out, err := f.Result(t.Context())
		require.NoError(t, err)
		goneOut := weak.Make(out)
		arg, out, f = nil, nil, nil
		synctest.Wait() // until the worker is idle
		requireFreed(t, goneArg)
		requireFreed(t, goneOut)
	})
}

// row E10: a future that nobody holds still runs
func TestADiscardedFutureStillRuns(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	ran := make(chan struct{})
	g := newGate()
	submit(t, pool, g.wait)
	submit(t, pool, func(context.Context) error { close(ran); return nil })
	runtime.GC()
	g.open()
	<-ran
}

// row E10: a cancelled call leaves the queue, and its argument with it, while the pool is busy
func TestACancelledCallKeepsNothing(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 1})
	g := newGate()
	submit(t, pool, g.wait)
	<-g.entered
	read := futures.NewFunc("read", func(_ context.Context, p *[1 << 16]byte) (int, error) { return len(p), nil })
	arg := new([1 << 16]byte)
	gone := weak.Make(arg)
	f := futures.Submit(t.Context(), pool, read, arg)
	arg = nil
	require.True(t, f.Cancel())
	requireFreed(t, gone)
	assert.Equal(t, futures.Cancelled, f.State())
	g.open()
}

// requireFreed fails the test unless the garbage collector takes what p points to.
func requireFreed[T any](t testing.TB, p weak.Pointer[T]) {
	t.Helper()
	for range 10 {
		runtime.GC()
		if p.Value() == nil {
			return
		}
	}
	require.FailNow(t, "something still refers to it")
}

func TestADeclaredFuncIsRefused(t *testing.T) {
	pool := open(t, threadpool.Config{})
	f := futures.Submit(t.Context(), pool, futures.Declare[int, int]("far"), 1)
	assert.Equal(t, futures.Finished, f.State())
	assert.ErrorIs(t, f.Err(t.Context()), futures.ErrNoBody)
}

// The ctx given to Submit reaches the body: its values, its end and why.
func TestTheBodyGetsTheCallsCtx(t *testing.T) {
	type key struct{}
	pool := open(t, threadpool.Config{})
	ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
	entered := make(chan any, 1)
	f := futures.Submit(ctx, pool, do, func(ctx context.Context) error {
		entered <- ctx.Value(key{})
		<-ctx.Done()
		return ctx.Err()
	})
	assert.Equal(t, "value", <-entered)
	cancel(errBoom)
	err := f.Err(t.Context())
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, err, errBoom)
	assert.NotErrorIs(t, err, futures.ErrCancelled, "it had started")
}

func TestTimeoutCountsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := open(t, threadpool.Config{MaxWorkers: 1})
		g := newGate()
		submit(t, pool, g.wait)
		f := futures.Submit(t.Context(), pool, do, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, futures.Timeout(time.Minute))
		<-time.After(time.Hour) // in the queue
		assert.Equal(t, futures.Pending, f.State())
		start := time.Now()
		g.open()
		assert.ErrorIs(t, f.Err(t.Context()), futures.ErrTimeout)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// row F20: a call that waits for another one of the same full pool waits as long as its ctx lets it
func TestACallThatWaitsForItsOwnPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := open(t, threadpool.Config{MaxWorkers: 1})
		outer := futures.Submit(t.Context(), pool, do, func(ctx context.Context) error {
			return futures.Submit(context.WithoutCancel(ctx), pool, do, nothing).Err(ctx)
		}, futures.Timeout(time.Minute))
		assert.ErrorIs(t, outer.Err(t.Context()), futures.ErrTimeout)
	})
}

// executor.py::ExecutorTest::test_map and test_map_exception over the real thing, rows E20, E22 and E25b
func TestMapOverAPool(t *testing.T) {
	pool := open(t, threadpool.Config{MaxWorkers: 4})
	square := futures.NewFunc("square", func(_ context.Context, n int) (int, error) {
		if n%10 == 3 {
			return 0, errBoom
		}
		return n * n, nil
	})
	inputs := func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}
	next := 0
	for value, err := range futures.Map(t.Context(), pool, square, inputs, futures.Buffersize(16)) {
		if next%10 == 3 {
			require.ErrorIs(t, err, errBoom)
		} else {
			require.Equal(t, next*next, value)
		}
		if next++; next == 500 {
			break
		}
	}
	seen := map[int]bool{}
	for item, err := range futures.MapUnordered(t.Context(), pool, square, inputs, futures.Buffersize(16)) {
		require.False(t, seen[item.Index])
		seen[item.Index] = true
		if err == nil {
			require.Equal(t, item.In*item.In, item.Out)
		}
		if len(seen) == 500 {
			break
		}
	}
}

// test_wait::ThreadPoolWaitTests::test_pending_calls_race, row W11, and what must hold 1: under many submitters and
// cancellers each call is settled, and runs at most once
func TestEveryCallIsSettledOnce(t *testing.T) {
	for _, queue := range []int{0, 1, 7} {
		t.Run(fmt.Sprint("queue ", queue), func(t *testing.T) {
			pool := open(t, threadpool.Config{MaxWorkers: 3, MaxQueue: queue})
			var runs, cancelled, called atomic.Int32
			var all sync.WaitGroup
			const submitters, each = 8, 100
			for s := range submitters {
				all.Go(func() {
					for i := range each {
						ctx, cancel := context.WithCancel(context.Background())
						f := futures.Submit(ctx, pool, do, func(context.Context) error { runs.Add(1); return nil })
						all.Add(1)
						f.OnDone(func(*futures.Future[bool]) { called.Add(1); all.Done() })
						switch (s + i) % 3 {
						case 0:
							f.Cancel()
						case 1:
							cancel()
						}
						if f.Err(context.Background()) != nil {
							cancelled.Add(1)
						}
						cancel()
					}
				})
			}
			all.Wait()
			assert.EqualValues(t, submitters*each, called.Load())
			assert.EqualValues(t, submitters*each, runs.Load()+cancelled.Load())
		})
	}
}
