package futures_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

type ints = []*futures.Future[int]

// waiting starts a Wait that has to wait, and returns what it will say.
func waiting(t *testing.T, ctx context.Context, fs ints, until futures.Until) func() (done, pending ints, err error) {
	var finished, unfinished ints
	var err error
	over := make(chan struct{})
	go func() {
		defer close(over)
		finished, unfinished, err = futures.Wait(ctx, fs, until)
	}()
	synctest.Wait()
	select {
	case <-over:
		assert.Fail(t, "Wait did not wait")
	default:
	}
	return func() (ints, ints, error) {
		<-over
		return finished, unfinished, err
	}
}

// test_wait::test_all_completed, rows W1 and W7
func TestWaitForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := futures.NewPromise[int](), futures.NewPromise[int]()
		fs := ints{resolved(1), rejected(errBoom), cancelled(), a.Future(), b.Future()}
		result := waiting(t, t.Context(), fs, futures.AllCompleted)
		require.NoError(t, b.Reject(errBoom))
		synctest.Wait()
		require.NoError(t, a.Resolve(1))
		finished, unfinished, err := result()
		assert.NoError(t, err)
		assertSame(t, fs, finished, "in the order of fs")
		assert.Empty(t, unfinished)
	})
}

// test_wait::test_first_completed, row W4; a cancelled future is done at once, unlike in rows F4 and W3
func TestWaitForTheFirst(t *testing.T) {
	for name, settle := range map[string]func(*futures.Promise[int]){
		"result": func(p *futures.Promise[int]) { _ = p.Resolve(1) },
		"error":  func(p *futures.Promise[int]) { _ = p.Reject(errBoom) },
		"cancel": func(p *futures.Promise[int]) { p.Future().Cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := futures.NewPromise[int](), futures.NewPromise[int]()
				result := waiting(t, t.Context(), ints{a.Future(), b.Future()}, futures.FirstCompleted)
				settle(b)
				finished, unfinished, err := result()
				assert.NoError(t, err)
				assertSame(t, ints{b.Future()}, finished)
				assertSame(t, ints{a.Future()}, unfinished)
			})
		})
	}
}

// test_wait::test_first_completed_some_already_completed, row W4
func TestWaitForTheFirstReturnsAtOnceWithAllThatAreDone(t *testing.T) {
	p := pending()
	fs := ints{cancelled(), p, rejected(errBoom), resolved(1)}
	finished, unfinished, err := futures.Wait(t.Context(), fs, futures.FirstCompleted)
	assert.NoError(t, err)
	assertSame(t, ints{fs[0], fs[2], fs[3]}, finished)
	assertSame(t, ints{p}, unfinished)
}

// test_wait::test_first_exception, rows W5 and W6: neither a success nor a cancellation is an error
func TestWaitForTheFirstError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c, d := futures.NewPromise[int](), futures.NewPromise[int](), futures.NewPromise[int](), futures.NewPromise[int]()
		result := waiting(t, t.Context(), ints{a.Future(), b.Future(), c.Future(), d.Future()}, futures.FirstError)
		require.NoError(t, a.Resolve(1))
		b.Future().Cancel()
		synctest.Wait()
		require.NoError(t, c.Reject(errBoom))
		finished, unfinished, err := result()
		assert.NoError(t, err)
		assertSame(t, ints{a.Future(), b.Future(), c.Future()}, finished)
		assertSame(t, ints{d.Future()}, unfinished)
	})
}

// test_wait::test_first_exception_some_already_complete, row W5: what is done and has not failed does not end the wait
func TestWaitForTheFirstErrorAmongSuccesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := futures.NewPromise[int](), futures.NewPromise[int]()
		fs := ints{resolved(1), cancelled(), a.Future(), b.Future()}
		result := waiting(t, t.Context(), fs, futures.FirstError)
		require.NoError(t, a.Reject(errBoom))
		finished, unfinished, err := result()
		assert.NoError(t, err)
		assertSame(t, fs[:3], finished)
		assertSame(t, fs[3:], unfinished)
	})
}

// test_wait::test_first_exception_one_already_failed, row W5
func TestWaitForTheFirstErrorReturnsAtOnceIfThereIsOne(t *testing.T) {
	p := pending()
	failed := rejected(errBoom)
	finished, unfinished, err := futures.Wait(t.Context(), ints{p, failed}, futures.FirstError)
	assert.NoError(t, err)
	assertSame(t, ints{failed}, finished)
	assertSame(t, ints{p}, unfinished)
}

// row W5: without an error it is a wait for all
func TestWaitForTheFirstErrorEndsWithTheLastSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := futures.NewPromise[int](), futures.NewPromise[int]()
		result := waiting(t, t.Context(), ints{a.Future(), b.Future()}, futures.FirstError)
		b.Future().Cancel()
		synctest.Wait()
		require.NoError(t, a.Resolve(1))
		finished, unfinished, err := result()
		assert.NoError(t, err)
		assert.Len(t, finished, 2)
		assert.Empty(t, unfinished)
	})
}

// test_wait::test_timeout, row W8: the lists are as good as ever, and err says that the ctx was done
func TestWaitGivesUpAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := futures.NewPromise[int]()
		late := errors.New("late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, late)
		defer cancel()
		start := time.Now()
		fs := ints{resolved(1), p.Future()}
		finished, unfinished, err := futures.Wait(ctx, fs, futures.AllCompleted)
		assert.Equal(t, late, err)
		assert.Equal(t, time.Minute, time.Since(start))
		assertSame(t, fs[:1], finished)
		assertSame(t, fs[1:], unfinished)
	})
}

// row W8: a ctx that is done polls, and a condition that is met wins over it
func TestWaitWithADoneCtxPolls(t *testing.T) {
	for range 100 { // a select between two ready channels would be found out
		fs := ints{resolved(1), rejected(errBoom), cancelled()}
		for _, until := range []futures.Until{futures.AllCompleted, futures.FirstCompleted, futures.FirstError} {
			finished, unfinished, err := futures.Wait(done(errBoom), fs, until)
			require.NoError(t, err)
			assertSame(t, fs, finished)
			require.Empty(t, unfinished)
		}
		p := pending()
		finished, unfinished, err := futures.Wait(done(errBoom), ints{fs[0], p}, futures.AllCompleted)
		require.Equal(t, errBoom, err)
		assertSame(t, fs[:1], finished)
		assertSame(t, ints{p}, unfinished)
	}
}

// row W8: the condition and the end of the ctx, both there when Wait looks
func TestAConditionThatIsMetWinsOverADoneCtx(t *testing.T) {
	for range 100 {
		for _, until := range []futures.Until{futures.AllCompleted, futures.FirstCompleted, futures.FirstError} {
			p := futures.NewPromise[int]()
			finished, unfinished, err := futures.Wait(tieCtx{t.Context(), func() { _ = p.Reject(errBoom) }}, ints{p.Future()}, until)
			require.NoError(t, err)
			assertSame(t, ints{p.Future()}, finished)
			require.Empty(t, unfinished)
		}
	}
}

// row W9
func TestWaitForNothing(t *testing.T) {
	for _, until := range []futures.Until{futures.AllCompleted, futures.FirstCompleted, futures.FirstError} {
		finished, unfinished, err := futures.Wait(done(errBoom), ints{}, until)
		assert.NoError(t, err)
		assert.Empty(t, finished)
		assert.Empty(t, unfinished)
	}
}

// row W10, divergence: always an error
func TestWaitRejectsAnUnknownCondition(t *testing.T) {
	finished, unfinished, err := futures.Wait(t.Context(), ints{resolved(1)}, futures.FirstError+1)
	assert.EqualError(t, err, "futures: Wait: unknown condition Until(3)")
	assert.Empty(t, finished)
	assert.Empty(t, unfinished)
}

func TestWaitNamesTheFutureThatIsNil(t *testing.T) {
	_, _, err := futures.Wait(t.Context(), ints{resolved(1), nil}, futures.AllCompleted)
	assert.EqualError(t, err, "futures: Wait: future 1 is nil")
	_, _, err = futures.Wait(t.Context(), []futures.Awaitable{nil}, futures.AllCompleted)
	assert.EqualError(t, err, "futures: Wait: future 0 is nil")
}

// test_wait::test_20369, row W2
func TestWaitCountsDuplicatesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := futures.NewPromise[int]()
		d := resolved(1)
		result := waiting(t, t.Context(), ints{p.Future(), d, p.Future(), d}, futures.AllCompleted)
		require.NoError(t, p.Resolve(1))
		finished, unfinished, err := result()
		assert.NoError(t, err)
		assertSame(t, ints{p.Future(), d}, finished)
		assert.Empty(t, unfinished)
	})
}

// row W1: futures of different types, from different makers
func TestWaitForFuturesOfDifferentTypes(t *testing.T) {
	words := futures.NewPromise[string]()
	require.NoError(t, words.Resolve("x"))
	d := new(desk)
	sum := futures.Submit(t.Context(), d, double, 4)
	mixed := []futures.Awaitable{words.Future(), sum}
	finished, unfinished, err := futures.Wait(t.Context(), mixed, futures.FirstCompleted)
	assert.NoError(t, err)
	assertSame(t, mixed[:1], finished)
	assertSame(t, mixed[1:], unfinished)
	d.run(t, 1)
	finished, _, err = futures.Wait(t.Context(), mixed, futures.AllCompleted)
	assert.NoError(t, err)
	assertSame(t, mixed, finished)
}

// test_wait::ThreadPoolWaitTests::test_pending_calls_race, row W11
func TestWaitMissesNoneOfManyAtOnce(t *testing.T) {
	for range 20 {
		const n = 100
		var fs ints
		var all sync.WaitGroup
		gun := make(chan struct{})
		for range n {
			p := futures.NewPromise[int]()
			fs = append(fs, p.Future())
			all.Go(func() {
				<-gun
				_ = p.Resolve(1)
			})
		}
		close(gun)
		finished, unfinished, err := futures.Wait(t.Context(), fs, futures.AllCompleted)
		require.NoError(t, err)
		require.Len(t, finished, n)
		require.Empty(t, unfinished)
		all.Wait()
	}
}

// row W12: waits over the same futures in opposite orders do not lock each other out
func TestWaitsInOppositeOrders(t *testing.T) {
	for range 50 {
		var promises []*futures.Promise[int]
		var fs ints
		for range 20 {
			p := futures.NewPromise[int]()
			promises, fs = append(promises, p), append(fs, p.Future())
		}
		backwards := slices.Clone(fs)
		slices.Reverse(backwards)
		var all sync.WaitGroup
		for _, order := range []ints{fs, backwards, fs, backwards} {
			all.Go(func() {
				finished, _, err := futures.Wait(context.Background(), order, futures.AllCompleted)
				assert.NoError(t, err)
				assertSame(t, order, finished)
			})
		}
		for _, p := range promises {
			all.Go(func() { _ = p.Resolve(1) })
		}
		all.Wait()
	}
}

// row W13 and the invariant of the two lists: together they are fs, whatever happens meanwhile
func TestTheListsOfWaitPartitionTheFutures(t *testing.T) {
	for range 100 {
		var promises []*futures.Promise[int]
		var fs ints
		for range 8 {
			p := futures.NewPromise[int]()
			promises, fs = append(promises, p), append(fs, p.Future())
		}
		var all sync.WaitGroup
		for _, p := range promises {
			all.Go(func() { _ = p.Resolve(1) })
		}
		finished, unfinished, err := futures.Wait(t.Context(), fs, futures.FirstCompleted)
		require.NoError(t, err)
		require.NotEmpty(t, finished)
		for _, f := range fs {
			require.NotEqual(t, slices.Contains(finished, f), slices.Contains(unfinished, f), "in one list exactly")
		}
		require.Len(t, slices.Concat(finished, unfinished), len(fs))
		all.Wait()
	}
}
