package interpreters_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// The names in parentheses are those of CPython's Lib/test/test_interpreters/test_queues.py.

func newQueue(t *testing.T, maxsize int, opts ...interpreters.QueueOption) *interpreters.Queue {
	t.Helper()
	q := interpreters.CreateQueue(maxsize, opts...)
	t.Cleanup(func() { _ = q.Close() }) // the test may have closed it
	return q
}

func put(t *testing.T, q *interpreters.Queue, values ...any) {
	t.Helper()
	for _, v := range values {
		require.NoError(t, q.PutNoWait(v))
	}
}

func get[T any](t *testing.T, q *interpreters.Queue) T {
	t.Helper()
	var v T
	require.NoError(t, q.GetNoWait(&v))
	return v
}

// QueueTests.test_create, test_maxsize_readonly, test_id_readonly (Q1, Q4)
func TestAQueueKeepsTheSizeItWasCreatedWith(t *testing.T) {
	for _, maxsize := range []int{0, 1, 10, -1, -10} {
		q := newQueue(t, maxsize)
		assert.Equal(t, maxsize, q.MaxSize())
		assert.Equal(t, fmt.Sprintf("Queue(%d)", q.ID()), q.String())
		assert.Zero(t, q.QSize())
	}
}

// QueueTests.test_custom_id, test_id_type, test_equality, test_hashable (Q3)
func TestThereIsOneQueueForAnID(t *testing.T) {
	q, other := newQueue(t, 0), newQueue(t, 0)
	assert.Greater(t, other.ID(), q.ID())
	for range 2 {
		same, err := interpreters.LookupQueue(q.ID())
		require.NoError(t, err)
		assert.Same(t, q, same)
	}
	for _, id := range []int64{0, -1, 1 << 60} {
		_, err := interpreters.LookupQueue(id)
		require.ErrorIs(t, err, interpreters.ErrQueueNotFound)
		assert.EqualError(t, err, fmt.Sprintf("interpreters: queue %d not found", id)) // (Q12)
	}
	require.NoError(t, other.Close())
	assert.Greater(t, newQueue(t, 0).ID(), other.ID(), "an id is not used again")
}

// TestQueueOps.test_empty, test_qsize (Q5)
func TestEmptyAndQSizeAreExact(t *testing.T) {
	q := newQueue(t, 0)
	assert.True(t, q.Empty())
	for i := range 10 {
		put(t, q, i)
		assert.Equal(t, i+1, q.QSize())
		assert.False(t, q.Empty())
	}
	for i := range 10 {
		assert.Equal(t, i, get[int](t, q))
		assert.Equal(t, 9-i, q.QSize())
	}
	assert.True(t, q.Empty())
}

// TestQueueOps.test_full (Q1, Q5)
func TestFullIsExact(t *testing.T) {
	for _, maxsize := range []int{1, 3, 11} {
		q := newQueue(t, maxsize)
		for i := range maxsize {
			assert.False(t, q.Full())
			put(t, q, i)
		}
		assert.True(t, q.Full())
		get[int](t, q)
		assert.False(t, q.Full())
	}
	for _, maxsize := range []int{0, -1, -10} {
		q := newQueue(t, maxsize)
		for i := range 100 {
			put(t, q, i)
		}
		assert.False(t, q.Full(), "there is no bound")
	}
}

// TestQueueOps.test_put_get_main (Q2)
func TestItemsComeOutInTheOrderTheyWentIn(t *testing.T) {
	q := newQueue(t, 0)
	for i := range 20 {
		put(t, q, i)
	}
	for i := range 20 {
		v, err := interpreters.GetAs[int](t.Context(), q)
		require.NoError(t, err)
		assert.Equal(t, i, v)
	}
}

// TestQueueOps.test_put_nowait, test_get_nowait (Q6, Q7, Q12)
func TestNoWaitSaysNoAtOnce(t *testing.T) {
	q := newQueue(t, 2)
	var v int
	err := q.GetNoWait(&v)
	assert.ErrorIs(t, err, interpreters.ErrQueueEmpty)
	assert.EqualError(t, err, fmt.Sprintf("interpreters: queue %d is empty", q.ID()))
	put(t, q, 1, 2)
	err = q.PutNoWait(3)
	assert.ErrorIs(t, err, interpreters.ErrQueueFull)
	assert.EqualError(t, err, fmt.Sprintf("interpreters: queue %d is full", q.ID()))
	assert.Equal(t, 2, q.QSize())
}

// TestQueueOps.test_get_timeout, test_put_timeout (Q6, Q7). Divergence from Q8: the time is what was asked for, to the nanosecond.
func TestAWaitEndsWithItsCtx(t *testing.T) {
	for _, timeout := range []time.Duration{time.Nanosecond, 100 * time.Millisecond, 1900 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, 1)
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			_, err := interpreters.GetAs[int](ctx, q)
			assert.ErrorIs(t, err, interpreters.ErrQueueEmpty)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, timeout, time.Since(start))

			put(t, q, "first")
			ctx, cancel = context.WithTimeout(t.Context(), timeout)
			defer cancel()
			err = q.Put(ctx, "second")
			assert.ErrorIs(t, err, interpreters.ErrQueueFull)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 2*timeout, time.Since(start))
			assert.Equal(t, "first", get[string](t, q))
			assert.True(t, q.Empty(), "what was not put is not there")
			put(t, q, "third")
			assert.Equal(t, "third", get[string](t, q), "whoever gave up is not in line any more")
		})
	}
}

func TestWhatIsThereWinsOverACtxThatIsDone(t *testing.T) {
	q := newQueue(t, 1)
	why := errors.New("nobody waits")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	require.NoError(t, q.Put(ctx, 1))
	err := q.Put(ctx, 2)
	assert.ErrorIs(t, err, interpreters.ErrQueueFull)
	assert.ErrorIs(t, err, why)
	v, err := interpreters.GetAs[int](ctx, q)
	require.NoError(t, err)
	assert.Equal(t, 1, v)
	_, err = interpreters.GetAs[int](ctx, q)
	assert.ErrorIs(t, err, interpreters.ErrQueueEmpty)
	assert.ErrorIs(t, err, why)
}

// TestQueueOps.test_put_get_different_threads (Q2)
func TestWhoWaitsIsServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		got := make([]chan int, 5)
		for i := range got {
			got[i] = make(chan int, 1)
			go func() {
				v, err := interpreters.GetAs[int](t.Context(), q)
				assert.NoError(t, err)
				got[i] <- v
			}()
			synctest.Wait() // it waits
		}
		for i := range got {
			put(t, q, i)
			assert.True(t, q.Empty(), "it was handed over")
			assert.Equal(t, i, <-got[i])
		}

		put(t, q, 100)
		for i := range 5 {
			go func() { assert.NoError(t, q.Put(t.Context(), i)) }()
			synctest.Wait()
		}
		assert.Equal(t, 100, get[int](t, q))
		for i := range 5 {
			assert.True(t, q.Full(), "the first in line has filled the room")
			assert.Equal(t, i, get[int](t, q))
		}
	})
}

func TestAWaiterThatIsCancelledLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		gone, served := make(chan error), make(chan int)
		go func() { _, err := interpreters.GetAs[int](ctx, q); gone <- err }()
		synctest.Wait()
		go func() { v, _ := interpreters.GetAs[int](t.Context(), q); served <- v }()
		synctest.Wait()
		cancel()
		assert.ErrorIs(t, <-gone, context.Canceled)
		put(t, q, 7)
		assert.Equal(t, 7, <-served)
	})
}

// TestQueueOps.test_put_get_same_interpreter (Q9)
func TestValuesAreCopiedWhenTheyArePut(t *testing.T) {
	type record struct {
		Name string
		List []int
	}
	q := newQueue(t, 0)
	v := record{"a", []int{1, 2, 3}}
	put(t, q, v, &v, v.List)
	v.Name, v.List[0] = "changed", 100
	assert.Equal(t, record{"a", []int{1, 2, 3}}, get[record](t, q))
	assert.Equal(t, &record{"a", []int{1, 2, 3}}, get[*record](t, q))
	assert.Equal(t, []int{1, 2, 3}, get[[]int](t, q))
}

// TestQueueOps.test_put_full_fallback, test_put_get_full_fallback (Q9)
func TestAllThatCanTravelTravels(t *testing.T) {
	q := newQueue(t, 0)
	values := []any{
		nil, true, false, "", "text", []byte("bytes"), 3.5, []any{"a", nil}, map[string]any{"k": "v"},
		time.Unix(1<<33, 5),
	}
	put(t, q, values...)
	for _, v := range values {
		assert.Equal(t, v, get[any](t, q))
	}
	put(t, q, big.NewInt(1<<40))
	assert.Equal(t, big.NewInt(1<<40), get[*big.Int](t, q))
}

func TestWhatCannotTravelIsRefusedByThePut(t *testing.T) {
	q := newQueue(t, 0)
	for _, v := range []any{make(chan int), func() {}, []any{1, make(chan int)}, uintptr(1)} {
		assert.ErrorIs(t, q.PutNoWait(v), futures.ErrNotShareable, "%T", v)
		assert.ErrorIs(t, q.Put(t.Context(), v), futures.ErrNotShareable, "%T", v)
	}
	assert.True(t, q.Empty())
}

func TestAnItemThatCannotBeDecodedIsTaken(t *testing.T) {
	q := newQueue(t, 0)
	put(t, q, "not a number", 2)
	_, err := interpreters.GetAs[int](t.Context(), q)
	assert.ErrorIs(t, err, futures.ErrNotShareable)
	assert.Equal(t, 2, get[int](t, q), "it does not stop those behind it")
}

func TestATargetThatCanHoldNothingTakesNothing(t *testing.T) {
	q := newQueue(t, 0)
	put(t, q, 1)
	for _, into := range []any{nil, 0, "text", (*int)(nil)} {
		assert.ErrorIs(t, q.GetNoWait(into), futures.ErrNotShareable)
		assert.ErrorIs(t, q.Get(t.Context(), into), futures.ErrNotShareable)
	}
	assert.Equal(t, 1, get[int](t, q))
}

// QueueTests.test_shareable, test_pickle (Q3)
func TestAQueueInAValueComesBackAsTheSameQueue(t *testing.T) {
	type ends struct {
		In, Out *interpreters.Queue
		More    []*interpreters.Queue
		Named   map[string]*interpreters.Queue
		Any     any
	}
	q, a, b := newQueue(t, 0), newQueue(t, 0), newQueue(t, 0)
	put(t, q, a, q, ends{a, nil, []*interpreters.Queue{b, a}, map[string]*interpreters.Queue{"b": b}, b}, []any{a, map[string]any{"deep": b}})
	assert.Same(t, a, get[*interpreters.Queue](t, q))
	assert.Same(t, q, get[any](t, q), "also itself")
	back := get[ends](t, q)
	assert.Same(t, a, back.In)
	assert.Nil(t, back.Out)
	assert.Same(t, b, back.More[0])
	assert.Same(t, a, back.More[1])
	assert.Same(t, b, back.Named["b"])
	assert.Same(t, b, back.Any)
	list := get[[]any](t, q)
	assert.Same(t, a, list[0])
	assert.Same(t, b, list[1].(map[string]any)["deep"])
}

func TestDecodingOverAQueueLeavesThatQueueAlone(t *testing.T) {
	q, a, b := newQueue(t, 0), newQueue(t, 3), newQueue(t, 4)
	put(t, q, b)
	into := a
	require.NoError(t, q.GetNoWait(&into))
	assert.Same(t, b, into)
	assert.Equal(t, 3, a.MaxSize())
	put(t, q, b)
	require.ErrorIs(t, q.GetNoWait(a), futures.ErrNotShareable, "a Queue is not to be overwritten")
	assert.Equal(t, 3, a.MaxSize())
}

func TestTheHandleOfAClosedQueueDoesNotTravel(t *testing.T) {
	q, closed := newQueue(t, 0), newQueue(t, 0)
	put(t, q, closed, []any{closed})
	require.NoError(t, closed.Close())
	err := q.PutNoWait(closed)
	assert.ErrorIs(t, err, futures.ErrNotShareable)
	assert.ErrorIs(t, err, interpreters.ErrQueueNotFound)
	var v any
	assert.ErrorIs(t, q.GetNoWait(&v), interpreters.ErrQueueNotFound, "it was closed on the way")
	var list []*interpreters.Queue
	assert.ErrorIs(t, q.GetNoWait(&list), interpreters.ErrQueueNotFound)
	assert.True(t, q.Empty())
}

// LowLevelTests.test_create_destroy, test_bind_release (Q13). Divergence: Close takes the place of the last reference.
func TestNothingWorksOnAClosedQueue(t *testing.T) {
	q := newQueue(t, 1)
	put(t, q, 1)
	require.NoError(t, q.Close())
	var v int
	for _, err := range []error{
		q.Put(t.Context(), 1), q.PutNoWait(1), q.Get(t.Context(), &v), q.GetNoWait(&v), q.Close(),
	} {
		assert.ErrorIs(t, err, interpreters.ErrQueueNotFound)
		assert.EqualError(t, err, fmt.Sprintf("interpreters: queue %d not found", q.ID()))
	}
	_, err := interpreters.LookupQueue(q.ID())
	assert.ErrorIs(t, err, interpreters.ErrQueueNotFound)
	assert.Zero(t, q.QSize())
	assert.True(t, q.Empty())
	assert.False(t, q.Full())
}

func TestCloseWakesWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, empty := newQueue(t, 1), newQueue(t, 1)
		put(t, full, 1)
		errs := make(chan error)
		for range 3 {
			go func() { errs <- full.Put(t.Context(), 2) }()
			go func() { _, err := interpreters.GetAs[int](t.Context(), empty); errs <- err }()
		}
		synctest.Wait()
		require.NoError(t, full.Close())
		require.NoError(t, empty.Close())
		for range 6 {
			assert.ErrorIs(t, <-errs, interpreters.ErrQueueNotFound)
		}
	})
}

func TestUnboundItemsTakesThreeValues(t *testing.T) {
	for _, u := range []interpreters.UnboundItem{-1, 3, 99} {
		assert.Panics(t, func() { interpreters.UnboundItems(u) }, "%v", u)
	}
	assert.Equal(t, "Unbound UnboundError UnboundRemove UnboundItem(9)",
		fmt.Sprint(interpreters.Unbound, interpreters.UnboundError, interpreters.UnboundRemove, interpreters.UnboundItem(9)))
}

// Many goroutines put and get, and give up now and then; every item arrives once.
func TestNoItemIsLostOrDoubled(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const putters, getters, each = 4, 4, 1500
	for _, maxsize := range []int{1, 5, 0} {
		q := newQueue(t, maxsize)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		var putting, getting sync.WaitGroup
		for p := range putters {
			putting.Go(func() {
				for i := range each {
					v := p*each + i
					for patience := time.Duration(1); ; patience *= 2 {
						impatient, cancel := context.WithTimeout(ctx, patience*time.Microsecond)
						err := q.Put(impatient, v)
						cancel()
						if err == nil {
							break
						}
						if !assert.ErrorIs(t, err, interpreters.ErrQueueFull) || ctx.Err() != nil {
							return
						}
					}
				}
			})
		}
		got := make(chan int, putters*each+1)
		for range getters {
			getting.Go(func() {
				for patience := time.Duration(1); ; patience++ {
					impatient, cancel := context.WithTimeout(ctx, patience*time.Microsecond)
					v, err := interpreters.GetAs[int](impatient, q)
					cancel()
					switch {
					case err == nil:
						got <- v
						patience = 0
					case errors.Is(err, interpreters.ErrQueueNotFound):
						return
					case !assert.ErrorIs(t, err, interpreters.ErrQueueEmpty) || ctx.Err() != nil:
						return
					}
				}
			})
		}
		putting.Wait()
		count := make([]int, putters*each)
		for range count {
			select {
			case v := <-got:
				count[v]++
			case <-ctx.Done():
				t.Fatal("items are missing")
			}
		}
		require.NoError(t, q.Close())
		getting.Wait()
		require.Empty(t, got)
		for v, n := range count {
			require.Equal(t, 1, n, "item %d", v)
		}
	}
}
