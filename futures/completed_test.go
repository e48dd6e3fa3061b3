package futures_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// test_as_completed::test_no_timeout, rows C1 and C2
func TestAsCompletedYieldsInTheOrderOfTheOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := futures.NewPromise[int](), futures.NewPromise[int](), futures.NewPromise[int]()
		old := resolved(1)
		var order ints
		over := make(chan struct{})
		go func() {
			defer close(over)
			for f, err := range futures.AsCompleted(t.Context(), ints{a.Future(), b.Future(), c.Future(), old}) {
				assert.NoError(t, err)
				order = append(order, f)
			}
		}()
		synctest.Wait()
		assertSame(t, ints{old}, order, "those already there come first")
		c.Future().Cancel() // row C9, divergence: yielded at once
		synctest.Wait()
		assertSame(t, ints{old, c.Future()}, order)
		require.NoError(t, b.Reject(errBoom))
		synctest.Wait()
		assertSame(t, ints{old, c.Future(), b.Future()}, order)
		require.NoError(t, a.Resolve(1))
		<-over
		assertSame(t, ints{old, c.Future(), b.Future(), a.Future()}, order)
	})
}

// test_as_completed::test_duplicate_futures, row C1
func TestAsCompletedYieldsDuplicatesOnce(t *testing.T) {
	f := resolved(1)
	var got ints
	for f, err := range futures.AsCompleted(t.Context(), ints{f, f, f}) {
		require.NoError(t, err)
		got = append(got, f)
	}
	assertSame(t, ints{f}, got)
}

// test_as_completed::test_future_times_out, rows C3 and C4
func TestAsCompletedWithADoneCtxYieldsWhatIsThere(t *testing.T) {
	for range 100 {
		late := errors.New("late")
		old, dead, failed := resolved(1), cancelled(), rejected(errBoom)
		var got ints
		var last error
		for f, err := range futures.AsCompleted(done(late), ints{old, pending(), dead, running(), failed}) {
			if err != nil {
				require.Nil(t, f)
				last = err
				continue
			}
			require.NoError(t, last, "nothing comes after the error")
			got = append(got, f)
		}
		assertSame(t, ints{old, dead, failed}, got)
		require.Equal(t, &futures.UnfinishedError{Unfinished: 2, Total: 5, Cause: late}, last)
		require.ErrorIs(t, last, late)
	}
}

// test_as_completed::test_correct_timeout_exception_msg, row C3
func TestUnfinishedErrorCounts(t *testing.T) {
	var last error
	twice := pending()
	for _, err := range futures.AsCompleted(done(errBoom), ints{cancelled(), twice, running(), twice, resolved(1)}) {
		last = err
	}
	assert.EqualError(t, last, "futures: 2 (of 4) futures unfinished")
}

// row C5, divergence: the deadline is the ctx's, and so is fixed before the first item
func TestAsCompletedGivesUpAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		var last error
		for _, err := range futures.AsCompleted(ctx, ints{pending()}) {
			last = err
		}
		assert.ErrorIs(t, last, context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// row C6, divergence: a slow consumer still gets what finished meanwhile
func TestAsCompletedGivesASlowConsumerWhatIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, b := futures.NewPromise[int](), futures.NewPromise[int]()
	require.NoError(t, a.Resolve(1))
	var got ints
	for f, err := range futures.AsCompleted(ctx, ints{a.Future(), b.Future()}) {
		require.NoError(t, err)
		if len(got) == 0 {
			cancel()
			require.NoError(t, b.Resolve(1))
		}
		got = append(got, f)
	}
	assertSame(t, ints{a.Future(), b.Future()}, got)
}

// row C6: an outcome and the end of the ctx, both there when AsCompleted looks
func TestAsCompletedYieldsWhatIsThereWhenItsCtxIsDone(t *testing.T) {
	for range 100 {
		p := futures.NewPromise[int]()
		for f, err := range futures.AsCompleted(tieCtx{t.Context(), func() { _ = p.Resolve(1) }}, ints{p.Future()}) {
			require.NoError(t, err)
			require.Same(t, p.Future(), f)
		}
	}
}

// row C5: each range starts over
func TestAsCompletedMayBeRangedOverTwice(t *testing.T) {
	seq := futures.AsCompleted(t.Context(), ints{resolved(1), resolved(2)})
	for range 2 {
		sum := 0
		for f, err := range seq {
			require.NoError(t, err)
			value, err := f.Result(t.Context())
			require.NoError(t, err)
			sum += value
		}
		assert.Equal(t, 3, sum)
	}
}

func TestAsCompletedOfNothing(t *testing.T) {
	for range futures.AsCompleted(done(errBoom), ints{}) {
		assert.Fail(t, "there is nothing to yield")
	}
}

func TestAsCompletedNamesTheFutureThatIsNil(t *testing.T) {
	var got []error
	for f, err := range futures.AsCompleted(t.Context(), ints{resolved(1), nil}) {
		assert.Nil(t, f)
		got = append(got, err)
	}
	require.Len(t, got, 1)
	assert.EqualError(t, got[0], "futures: AsCompleted: future 1 is nil")
}

func TestAsCompletedStopsWhereTheLoopBreaks(t *testing.T) {
	yielded := 0
	for range futures.AsCompleted(t.Context(), ints{resolved(1), resolved(2), pending()}) {
		yielded++
		break
	}
	assert.Equal(t, 1, yielded)
}

// test_as_completed::test_free_reference_yielded_future, row C7: once the caller lets go of a future, nothing holds it
func TestAsCompletedKeepsNoFutureThatItYielded(t *testing.T) {
	fs := ints{resolved(1), resolved(2), resolved(3)}
	last := futures.NewPromise[int]()
	all := append(fs, last.Future())
	yielded := 0
	for f, err := range futures.AsCompleted(t.Context(), all) {
		require.NoError(t, err)
		yielded++
		if f == last.Future() {
			break
		}
		gone := weak.Make(f)
		for i := range all {
			if all[i] == f {
				all[i] = nil
			}
		}
		f = nil
		requireFreed(t, gone)
		if yielded == 3 {
			require.NoError(t, last.Resolve(4))
		}
	}
	assert.Equal(t, 4, yielded)
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
