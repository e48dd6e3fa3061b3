//go:build unix

package conformance_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// rowPorts hold behaviour for which CPython has no test.
var rowPorts = []port{
	{"row", "calls start in the order of Submit", "E3 T12", everywhere | sharing, inOrder},
	{"row", "broken outdoes shut down", "E6", everywhere, brokenOutdoesShutDown},
	{"row", "a discarded future still runs", "E10", everywhere | sharing, discarded},
	{"row", "Shutdown may be called again", "E50 E59", everywhere, shutdownAgain},
	{"row", "a later Shutdown may cancel", "E59", everywhere, laterShutdownCancels},
	{"row", "a cancelled call never runs, and waiters know at once", "F1 F2 C9 T11 P22", everywhere | sharing, cancelIsExact},
	{"row", "Running means that the function runs", "P20 P21", everywhere | sharing, runningMeansRunning},
	{"row", "callbacks may submit, shut down and close", "F8 F13 E58 P51 T10", everywhere, callbacksMayUseThePool},
	{"row", "a slow callback delays nobody", "F13", everywhere, slowCallback},
	{"row", "callbacks of a breakdown may use the pool", "P51", one, callbacksOfABreakdown},
	{"row", "callbacks of a cancelling Shutdown may use the pool", "T10", everywhere, callbacksOfACancel},
	{"row", "a call that waits for its own pool", "F20", threads, waitsForItsOwnPool},
	{"row", "items of a chunk have fates of their own", "P72", everywhere, chunkFates},
	{"row", "Buffersize counts items, also of chunks", "P73", everywhere | sharing, bufferCountsItems},
	{"row", "a refusal ends a Map after what is buffered", "E24 E36", everywhere, refusalEndsMap},
	{"row", "inputs that fail cancel the rest", "E30 E37", everywhere, inputsFail},
	{"row", "finished stays finished, cancelled stays cancelled", "P41", processes, crashKeepsOutcomes},
	{"row", "results in the pipe are delivered first", "P43", processes, resultsBeforeTheBreak},
	{"row", "exit code 0 is a crash as well", "P40", processes, cleanExitIsACrash},
	{"row", "an error that cannot travel costs nothing", "P35", everywhere | sharing, strangeError},
	{"row", "a Func that the worker lacks", "E7", everywhere | sharing, unknownFunc},
}

func inOrder(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(5)...)
	for _, want := range d.errands(5) {
		v := d.meet()
		require.Equal(t, want.Name, v.name)
		v.tell(passOn)
	}
	requireResults(t, ctx, fs)
}

func brokenOutdoesShutDown(t *testing.T, e executor) {
	ctx := within(t)
	ex := e.openWith(t, settings{workers: 1, initializer: futures.Bind(greet, greetingCard{Fate: fail})})
	require.ErrorIs(t, futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx), e.broken())
	require.NoError(t, ex.Close())
	err := futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx)
	require.ErrorIs(t, err, e.broken())
}

func discarded(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	for i := range 2 {
		futures.Submit(ctx, ex, pass, d.at(i))
	}
	runtime.GC()
	d.meet().tell(passOn)
	d.meet().tell(passOn)
}

func shutdownAgain(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	f := futures.Submit(ctx, ex, pass, d.at(0))
	v := d.meet()
	for range 3 {
		require.ErrorIs(t, ex.Shutdown(impatient()), context.Canceled)
	}
	v.tell(passOn)
	require.NoError(t, ex.Close()) // waits, although it is not the first
	require.NoError(t, f.Err(impatient()))
	require.NoError(t, ex.Close())
	require.NoError(t, ex.Shutdown(impatient()), "what is over needs no patience")
}

func laterShutdownCancels(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(3)...)
	v := d.meet()
	require.ErrorIs(t, ex.Shutdown(impatient()), context.Canceled)
	assert.Zero(t, inState(fs, futures.Cancelled))
	require.ErrorIs(t, ex.Shutdown(impatient(), futures.CancelFutures()), context.Canceled)
	assert.Equal(t, 2, inState(fs, futures.Cancelled))
	v.tell(passOn)
	require.NoError(t, ex.Close())
	require.NoError(t, fs[0].Err(ctx))
}

func cancelIsExact(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	require.NoError(t, futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx))
	fs := submitAll(ctx, ex, pass, d.errands(4)...)
	v := d.meet()
	assert.False(t, fs[0].Cancel(), "it runs")
	for _, f := range fs[1:3] {
		assert.True(t, f.Cancel())
		assert.True(t, f.Cancel(), "still")
	}
	done, _, err := futures.Wait(impatient(), fs[1:3], futures.AllCompleted)
	require.NoError(t, err, "although the worker is busy")
	assert.Len(t, done, 2)
	v.tell(passOn)
	next := d.meet()
	assert.Equal(t, d.at(3).Name, next.name)
	next.tell(passOn)
	require.NoError(t, fs[3].Err(ctx))
}

func runningMeansRunning(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
	for range 8 { // calls so short that a process pool would send more of them ahead
		require.NoError(t, futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx))
	}
	fs := submitAll(ctx, ex, pass, d.errands(7)...)
	d.meetAll(2)
	assert.Equal(t, 2, inState(fs, futures.Running))
	assert.Equal(t, 5, inState(fs, futures.Pending))
	for _, f := range fs {
		assert.Equal(t, f.State() == futures.Pending, f.Cancel())
	}
}

func callbacksMayUseThePool(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	f := futures.Submit(ctx, ex, pass, d.at(0))
	results := make(chan error, 3)
	f.OnDone(func(*futures.Future[int]) {
		_, err := futures.Submit(ctx, ex, power, pair{2, 2}).Result(ctx)
		results <- err
		results <- ex.Shutdown(ctx)
		results <- ex.Close()
	})
	d.meet().tell(passOn)
	for range 3 {
		require.NoError(t, <-results)
	}
}

func slowCallback(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	release, over := make(chan struct{}), make(chan struct{})
	f := futures.Submit(ctx, ex, pass, d.at(0))
	v := d.meet() // a callback that is added to a future that is done runs here and now
	f.OnDone(func(*futures.Future[int]) {
		<-release
		close(over)
	})
	v.tell(passOn)
	require.NoError(t, f.Err(ctx))
	for range 3 {
		require.NoError(t, futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx))
	}
	require.NoError(t, ex.Close())
	close(release)
	<-over
}

func callbacksOfABreakdown(t *testing.T, e executor) {
	ctx, d := within(t), newDoor(t)
	p := e.pool(t, 1, func(c *procpool.Config) { c.OnCrash = procpool.BreakPool })
	fs := submitAll(ctx, p, pass, d.errands(2)...)
	heard := make(chan error, 2)
	for _, f := range fs {
		f.OnDone(func(*futures.Future[int]) {
			err := futures.Submit(ctx, p, power, pair{2, 2}).Err(ctx)
			if closing := p.Close(); closing != nil {
				err = closing
			}
			heard <- err
		})
	}
	d.meet().tell(killed)
	for range fs {
		require.ErrorIs(t, <-heard, procpool.ErrBrokenProcessPool)
	}
}

func callbacksOfACancel(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	running := futures.Submit(ctx, ex, pass, d.at(0))
	v := d.meet()
	waiting := futures.Submit(ctx, ex, pass, d.at(1))
	heard := make(chan error, 1)
	waiting.OnDone(func(*futures.Future[int]) {
		err := futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx)
		_ = ex.Shutdown(impatient()) // must not lock itself out
		heard <- err
	})
	require.ErrorIs(t, ex.Shutdown(impatient(), futures.CancelFutures()), context.Canceled)
	require.ErrorIs(t, <-heard, futures.ErrShutdown)
	v.tell(passOn)
	require.NoError(t, running.Err(ctx))
}

func waitsForItsOwnPool(t *testing.T, e executor) {
	ex, d := e.open(t, 1), newDoor(t)
	ctx, cancel := context.WithCancel(within(t))
	var inner atomic.Pointer[futures.Future[int]]
	submitted := make(chan struct{})
	outer := futures.Submit(ctx, ex, futures.NewFunc("outer", func(ctx context.Context, _ int) (int, error) {
		inner.Store(futures.Submit(ctx, ex, pass, d.at(0)))
		close(submitted)
		return inner.Load().Result(ctx)
	}), 0)
	<-submitted
	assert.Equal(t, futures.Pending, inner.Load().State(), "nobody is there to run it")
	cancel() // which is the way out
	require.ErrorIs(t, outer.Err(within(t)), context.Canceled)
	require.ErrorIs(t, inner.Load().Err(within(t)), context.Canceled, "cancelled, or ended at once")
}

func chunkFates(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	fates := []fate{passOn, fail, panics, goexit, passOn}
	var errs []error
	for _, err := range futures.Map(ctx, ex, suffer, func(yield func(fate) bool) {
		for _, f := range fates {
			if !yield(f) {
				return
			}
		}
	}, futures.Chunksize(len(fates))) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 5)
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], errBoom)
	for _, err := range errs[2:4] {
		var task *futures.TaskError
		require.ErrorAs(t, err, &task)
		assert.True(t, task.Panicked)
	}
	require.NoError(t, errs[4])
	if !e.inProcesses() {
		return
	}
	errs = nil
	d := newDoor(t)
	go func() { d.meet().tell(passOn) }()
	for _, err := range futures.Map(ctx, ex, pass, slices.Values(d.errands(3)), futures.Chunksize(3)) {
		if errs = append(errs, err); len(errs) == 1 { // the first one's result is here before the second one ends
			d.meet().tell(killed)
			d.open()
		}
	}
	require.Len(t, errs, 3)
	require.NoError(t, errs[0], "it was over before the crash")
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, errs[1], &crash)
	if e.onCrash == procpool.ReplaceWorker {
		require.NoError(t, errs[2], "it had not started")
	} else {
		require.ErrorIs(t, errs[2], procpool.ErrBrokenProcessPool)
	}
}

func bufferCountsItems(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	const buffer = 4
	taken := 0
	inputs := func(yield func(errand) bool) {
		for yield(d.at(taken)) {
			if taken++; taken == buffer {
				d.meet().tell(passOn)
			}
		}
	}
	for range futures.Map(ctx, ex, pass, inputs, futures.Buffersize(buffer), futures.Chunksize(2)) {
		assert.LessOrEqual(t, taken, buffer+1)
		break
	}
}

func refusalEndsMap(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	inputs := func(yield func(pair) bool) {
		if !yield(pair{2, 1}) || !yield(pair{2, 2}) {
			return
		}
		_ = ex.Shutdown(impatient()) // in the midst of it
		for yield(pair{2, 3}) {
		}
	}
	var got []int
	var errs []error
	for v, err := range futures.Map(ctx, ex, power, inputs, futures.Buffersize(4)) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		require.Empty(t, errs, "nothing follows the refusal")
		got = append(got, v)
	}
	assert.Equal(t, []int{2, 4}, got)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], futures.ErrShutdown)
}

func inputsFail(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	inputs := func(yield func(errand) bool) {
		_ = yield(d.at(0)) && yield(d.at(1)) && yield(d.at(2))
		d.meet() // the first one runs
		panic("no more inputs")
	}
	assert.PanicsWithValue(t, "no more inputs", func() {
		for range futures.Map(ctx, ex, pass, inputs) {
			t.Error("nothing was ready")
		}
	})
	d.open()
	require.NoError(t, ex.Close())
	assert.Equal(t, 1, d.count(), "what had not started was cancelled")
}

func crashKeepsOutcomes(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	finished := futures.Submit(ctx, ex, power, pair{2, 8})
	require.NoError(t, finished.Err(ctx))
	running := futures.Submit(ctx, ex, pass, d.at(0))
	v := d.meet()
	cancelled := futures.Submit(ctx, ex, pass, d.at(1))
	require.True(t, cancelled.Cancel())
	v.tell(killed)
	require.Error(t, running.Err(ctx))
	n, err := finished.Result(ctx)
	require.NoError(t, err)
	assert.Equal(t, 256, n)
	assert.Equal(t, futures.Cancelled, cancelled.State())
	done, _, err := futures.Wait(ctx, intFutures{finished, running, cancelled}, futures.AllCompleted) // would hang in Python
	require.NoError(t, err)
	assert.Len(t, done, 3)
}

// resultsBeforeTheBreak: a worker's results count, even if the news of a crash is there before they are read.
func resultsBeforeTheBreak(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	f := futures.Submit(ctx, ex, answerAndDie, big)
	b, err := f.Result(ctx)
	require.NoError(t, err)
	assert.Len(t, b, big)
	after := futures.Submit(ctx, ex, answerAndDie, 1) // the crash itself is still noticed
	if e.onCrash == procpool.ReplaceWorker {
		require.NoError(t, after.Err(ctx))
		return
	}
	require.NoError(t, ex.Close())
	require.ErrorIs(t, futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx), procpool.ErrBrokenProcessPool)
}

func cleanExitIsACrash(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, futures.Submit(ctx, ex, leave, 0).Err(ctx), &crash)
	assert.Zero(t, crash.ExitCode)
	assert.Zero(t, crash.Signal)
	assert.Equal(t, "leave", crash.Func)
}

func strangeError(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	var task *futures.TaskError
	require.ErrorAs(t, futures.Submit(ctx, ex, strange, 0).Err(ctx), &task)
	assert.Equal(t, "*conformance_test.shy", task.Type, "the original failure, not that of its transport")
	require.NoError(t, futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx))
}

func unknownFunc(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	f := futures.Submit(ctx, ex, futures.Declare[int, int]("nobody offers this"), 0)
	require.ErrorIs(t, f.Err(ctx), futures.ErrNoBody)
	require.NoError(t, futures.Submit(ctx, ex, power, pair{2, 2}).Err(ctx))
}
