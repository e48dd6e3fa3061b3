//go:build unix

package conformance_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// executorPorts are executor.py: what every executor does.
var executorPorts = []port{
	{"executor", "test_submit", "E1", everywhere | sharing, submit},
	{"executor", "test_submit_keyword", "E2", everywhere | sharing, submitKeyword},
	{"executor", "test_map", "E20 E22 P71", everywhere | sharing, mapInOrder},
	{"executor", "test_map_exception", "E25 E25b P72", everywhere | sharing, mapException},
	{"executor", "test_map_timeout", "E26 E27", everywhere | sharing, mapTimeout},
	{"executor", "test_map_timeout_from_callable", "E25b", everywhere | sharing, mapTimeoutFromCallable},
	{"executor", "test_map_close", "E29", everywhere, mapClose},
	{"executor", "test_map_buffersize_value_validation", "E33", everywhere | sharing, mapBuffersizeValidation},
	{"executor", "test_map_buffersize", "E35", everywhere | sharing, mapBuffersize},
	{"executor", "test_map_buffersize_on_multiple_iterables", "E35", everywhere | sharing, mapBuffersizeZipped},
	{"executor", "test_map_buffersize_on_infinite_iterable", "E21 E35", everywhere | sharing, mapBuffersizeInfinite},
	{"executor", "test_map_buffersize_on_multiple_infinite_iterables", "E35", everywhere | sharing, mapBuffersizeZippedInfinite},
	{"executor", "test_map_buffersize_on_empty_iterable", "E23", everywhere, mapBuffersizeEmpty},
	{"executor", "test_map_buffersize_without_iterable", "E23", everywhere | sharing, mapBuffersizeWithout},
	{"executor", "test_map_buffersize_when_buffer_is_full", "E34", everywhere | sharing, mapBuffersizeFull},
	{"executor", "test_shutdown_race_issue12456", "E57", everywhere, shutdownRace},
	{"executor", "test_no_stale_references", "E10", everywhere | sharing, noStaleReferences},
	{"executor", "test_max_workers_negative", "T2 P1", everywhere, maxWorkersNegative},
	{"executor", "test_free_reference", "E31", everywhere | sharing, freeReference},
	{"executor", "test_swallows_falsey_exceptions", "E9", everywhere | sharing, falseyExceptions},
}

func submit(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	busy := futures.Submit(ctx, ex, pass, d.at(0))
	v := d.meet()
	f := futures.Submit(ctx, ex, power, pair{2, 8}) // returns, although the only worker is busy
	assert.Equal(t, futures.Running, busy.State())
	assert.Equal(t, futures.Pending, f.State())
	v.tell(passOn)
	n, err := f.Result(ctx)
	require.NoError(t, err)
	assert.Equal(t, 256, n)
}

func submitKeyword(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	want := keywordArgs{Self: "me", Fn: "mul", Arg: 7}
	got, err := futures.Submit(ctx, ex, keywords, want).Result(ctx)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

// naturals are 0, 1, 2 ... without end.
func naturals(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

// upTo are the numbers from 0 to n-1.
func upTo(n int) iter.Seq[int] { return slices.Values(numbers(n)) }

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// zipped pairs two sequences up, until the shorter one ends.
func zipped(as, bs iter.Seq[int]) iter.Seq[pair] {
	return func(yield func(pair) bool) {
		next, stop := iter.Pull(bs)
		defer stop()
		for a := range as {
			b, ok := next()
			if !ok || !yield(pair{a, b}) {
				return
			}
		}
	}
}

// powers are what power makes of zipped sequences of the numbers from 0.
func powers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i], _ = power.Call(context.Background(), pair{i, i}) // it never fails
	}
	return all
}

func mapInOrder(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
	assert.Equal(t, powers(8), values(t, futures.Map(ctx, ex, power, zipped(upTo(8), naturals))), "the shorter sequence ends it")
	assert.Equal(t, powers(8), values(t, futures.Map(ctx, ex, power, zipped(upTo(8), upTo(8)), futures.Chunksize(3))))

	completed := make(chan []int)
	go func() { completed <- values(t, futures.Map(ctx, ex, pass, slices.Values(d.errands(2)))) }()
	both := d.meetAll(2)
	both[1].tell(passOn)
	both[1].awaitGone() // the second input's call is over before the first one's
	both[0].tell(passOn)
	assert.Equal(t, []int{0, 1}, <-completed)
}

func mapException(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	inputs := []pair{{1, 2}, {1, 3}, {1, 0}, {1, 5}}
	for _, chunksize := range []int{1, 4} {
		var got []pair
		var failed []int
		for v, err := range futures.Map(ctx, ex, divide, slices.Values(inputs), futures.Chunksize(chunksize)) {
			if err != nil {
				var task *futures.TaskError
				require.ErrorAs(t, err, &task)
				assert.Equal(t, "division by zero", task.Message)
				failed = append(failed, len(got))
			}
			got = append(got, v)
		}
		assert.Equal(t, []pair{{0, 1}, {0, 1}, {}, {0, 1}}, got, "the items after the failed one are there")
		assert.Equal(t, []int{2}, failed)
	}
}

func mapTimeout(t *testing.T, e executor) {
	ex, d := e.open(t, 1), newDoor(t)
	errLate := errors.New("too late")
	ctx, cancel := context.WithCancelCause(within(t))
	defer cancel(nil)
	d.open()
	inputs := func(yield func(errand) bool) { // the third one's call never ends by itself
		_ = yield(d.at(0)) && yield(d.at(1)) && yield(errand{newDoor(t).addr, "stuck", 2})
	}
	var got []int
	var errs []error
	for v, err := range futures.Map(ctx, ex, pass, inputs) {
		got, errs = append(got, v), append(errs, err)
		if len(got) == 2 {
			cancel(errLate)
		}
	}
	assert.Equal(t, []int{0, 1, 0}, got)
	require.NoError(t, errors.Join(errs[:2]...))
	assert.True(t, errors.Is(errs[2], errLate) || errors.Is(errs[2], context.Canceled), "%v", errs[2])

	// What is finished is returned, however late it is asked for.
	f := futures.Submit(within(t), ex, power, pair{2, 2})
	require.NoError(t, f.Err(within(t)))
	n, err := f.Result(impatient())
	require.NoError(t, err)
	assert.Equal(t, 4, n)
}

// mapTimeoutFromCallable: a function's own timeout is its item's error and ends nothing.
func mapTimeoutFromCallable(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	open, shut := newDoor(t), newDoor(t)
	open.open()
	inputs := []errand{open.at(0), shut.at(1), open.at(2)}
	var errs []error
	for _, err := range futures.Map(ctx, ex, pass, slices.Values(inputs), futures.Timeout(time.Second)) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 3)
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], futures.ErrTimeout)
	require.NoError(t, errs[2])
}

// mapClose: breaking off cancels what has not started, and nothing else.
func mapClose(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	const buffer = 5
	taken := 0
	inputs := func(yield func(errand) bool) {
		for yield(d.at(taken)) {
			if taken++; taken == buffer {
				d.meet().tell(passOn)
			}
		}
	}
	for v, err := range futures.Map(ctx, ex, pass, inputs, futures.Buffersize(buffer)) {
		require.NoError(t, err)
		assert.Zero(t, v)
		break
	}
	assert.GreaterOrEqual(t, taken, buffer)
	d.open()
	require.NoError(t, ex.Close())
	assert.LessOrEqual(t, d.count(), 2, "of the calls behind the first, only the one that had started may have run")
}

func mapBuffersizeValidation(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	for _, wrong := range []int{0, -1} {
		inputs := func(func(pair) bool) { t.Error("an input was taken") }
		n := 0
		for _, err := range futures.Map(ctx, ex, power, inputs, futures.Buffersize(wrong)) {
			require.ErrorContains(t, err, "Buffersize")
			n++
		}
		assert.Equal(t, 1, n)
	}
}

func mapBuffersize(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 2)
	for _, b := range []int{1, 2, 4, 9} {
		assert.Equal(t, powers(4), values(t, futures.Map(ctx, ex, power, zipped(upTo(4), upTo(4)), futures.Buffersize(b))))
	}
}

func mapBuffersizeZipped(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 2)
	for _, b := range []int{1, 3} {
		assert.Equal(t, powers(4), values(t, futures.Map(ctx, ex, power, zipped(upTo(4), upTo(6)), futures.Buffersize(b))))
	}
}

// firstFew takes n values and breaks off.
func firstFew(t *testing.T, n int, results iter.Seq2[int, error]) (few []int) {
	t.Helper()
	for v, err := range results {
		require.NoError(t, err)
		if few = append(few, v); len(few) == n {
			break
		}
	}
	return few
}

func mapBuffersizeInfinite(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	squares := func(yield func(pair) bool) {
		for i := range naturals {
			if !yield(pair{i, 2}) {
				return
			}
		}
	}
	assert.Equal(t, []int{0, 1, 4, 9}, firstFew(t, 4, futures.Map(ctx, ex, power, squares, futures.Buffersize(2))))
	assert.Equal(t, []int{0, 1, 4, 9}, firstFew(t, 4, futures.Map(ctx, ex, power, squares)), "the buffer is bounded by default")
}

func mapBuffersizeZippedInfinite(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	both := zipped(naturals, naturals)
	assert.Equal(t, powers(4), firstFew(t, 4, futures.Map(ctx, ex, power, both, futures.Buffersize(2))))
}

func mapBuffersizeEmpty(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	require.NoError(t, ex.Close())
	empty := func(func(pair) bool) {}
	assert.Empty(t, values(t, futures.Map(ctx, ex, power, empty, futures.Buffersize(1))), "also on an executor that takes nothing")
}

func mapBuffersizeWithout(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	n := 0
	for _, err := range futures.Map(ctx, ex, power, nil) { // unlike Python's map without iterables, this is a mistake
		require.ErrorContains(t, err, "inputs is nil")
		n++
	}
	assert.Equal(t, 1, n)
}

func mapBuffersizeFull(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	const buffer = 3
	taken := 0
	inputs := func(yield func(errand) bool) {
		for yield(d.at(taken)) {
			if taken++; taken == buffer {
				d.meet().tell(passOn) // until then nothing is ready, and the buffer takes what it can
			}
		}
	}
	for range futures.Map(ctx, ex, pass, inputs, futures.Buffersize(buffer)) {
		assert.LessOrEqual(t, taken, buffer+1)
		assert.GreaterOrEqual(t, taken, buffer)
		break
	}
}

func shutdownRace(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 2)
	var fs []*futures.Future[int]
	for range 12 {
		fs = append(fs, futures.Submit(ctx, ex, power, pair{6, 2}))
	}
	require.NoError(t, ex.Close())
	for _, f := range fs {
		n, err := f.Result(ctx)
		require.NoError(t, err)
		require.Equal(t, 36, n)
	}
}

// collected reports whether nothing holds what p points to any more. Goroutines that were about to let go of it are given
// the chance.
func collected[T any](p weak.Pointer[T]) bool {
	for range 200 {
		runtime.GC()
		if p.Value() == nil {
			return true
		}
		runtime.Gosched()
	}
	return false
}

func noStaleReferences(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	kept, watched := func() (*futures.Future[int], weak.Pointer[parcel]) {
		arg := &parcel{[64]byte{9}}
		f := futures.Submit(ctx, ex, openParcel, arg)
		n, err := f.Result(ctx)
		require.NoError(t, err)
		require.Equal(t, 9, n)
		return f, weak.Make(arg)
	}()
	assert.True(t, collected(watched), "the argument is held after the call")
	runtime.KeepAlive(kept)
	runtime.KeepAlive(ex)
}

func maxWorkersNegative(t *testing.T, e executor) {
	_, err := e.new(settings{workers: -1})
	require.ErrorContains(t, err, "MaxWorkers")
	ex, err := e.new(settings{}) // zero is the default, unlike in Python
	require.NoError(t, err)
	require.NoError(t, ex.Close())
}

func freeReference(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	var yielded []weak.Pointer[parcel]
	for p, err := range futures.Map(ctx, ex, makeParcel, upTo(3)) {
		require.NoError(t, err)
		for i, earlier := range yielded {
			assert.True(t, collected(earlier), "result %d is held after it was yielded", i)
		}
		yielded = append(yielded, weak.Make(p))
	}
	require.Len(t, yielded, 3)
}

func falseyExceptions(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	for _, fn := range []futures.Func[int, int]{nilError, emptyError} {
		f := futures.Submit(ctx, ex, fn, 0)
		var task *futures.TaskError
		require.ErrorAs(t, f.Err(ctx), &task)
		assert.Equal(t, "*conformance_test.silent", task.Type)
		_, err := f.Result(ctx)
		require.Error(t, err)
		for _, err := range futures.Map(ctx, ex, fn, upTo(1)) {
			require.Error(t, err)
		}
	}
}
