package interpreters_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/threadpool"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func queue(t testing.TB, maxsize int, opts ...interpreters.QueueOption) (*interpreters.Queue, *worker.Queue) {
	q := interpreters.CreateQueue(maxsize, opts...)
	t.Cleanup(func() { _ = q.Close() }) // some tests close it
	return q, worker.QueueOf(q)
}

func TestItemsGoInAndOutInOrder(t *testing.T) { // Q2
	ip := create(t, interpreters.Config{})
	q, h := queue(t, 0)
	n, err := interpreters.Call(within(t), ip, tasks.Put, tasks.Putting{Q: h, Values: []any{1, 2, 3}})
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	for want := 1; want <= 3; want++ {
		got, err := interpreters.GetAs[int](within(t), q)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		require.NoError(t, q.Put(within(t), 10*want))
	}
	got, err := interpreters.Call(within(t), ip, tasks.Get, tasks.Getting{Q: h, N: 3})
	require.NoError(t, err)
	assert.Equal(t, []int{10, 20, 30}, got)
}

func TestAQueueStaysItself(t *testing.T) { // Q3
	ip := create(t, interpreters.Config{})
	q, h := queue(t, 0)
	same, err := interpreters.Call(within(t), ip, tasks.SameQueue, h)
	require.NoError(t, err)
	assert.Same(t, h, same)

	declared := futures.Declare[*interpreters.Queue, *interpreters.Queue]("tasks.SameQueue")
	mine, err := interpreters.Call(within(t), ip, declared, q)
	require.NoError(t, err)
	assert.Same(t, q, mine)

	require.NoError(t, ip.PrepareMain(within(t), map[string]any{"q": q}))
	id, err := interpreters.Call(within(t), ip, tasks.BoundQueue, "q")
	require.NoError(t, err)
	assert.Equal(t, q.ID(), id)
	text, err := interpreters.GetAs[string](within(t), q)
	require.NoError(t, err)
	assert.Equal(t, "q", text)
}

func TestAGuestSeesTheStateOfAQueue(t *testing.T) { // Q4, Q5
	ip := create(t, interpreters.Config{})
	q, h := queue(t, 2)
	for size := range 3 {
		s, err := interpreters.Call(within(t), ip, tasks.QueueInfo, h)
		require.NoError(t, err)
		assert.Equal(t, tasks.State{ID: q.ID(), Size: size, MaxSize: 2, Empty: size == 0, Full: size == 2, Text: q.String()}, s)
		_ = q.PutNoWait(size) // the last does not fit
	}
}

func TestNoWait(t *testing.T) { // Q6, Q7, Q12
	ip := create(t, interpreters.Config{})
	_, h := queue(t, 1)
	_, err := interpreters.Call(within(t), ip, tasks.Get, tasks.Getting{Q: h, N: 1, NoWait: true})
	assert.ErrorIs(t, err, interpreters.ErrQueueEmpty)
	_, err = interpreters.Call(within(t), ip, tasks.Put, tasks.Putting{Q: h, Values: []any{1, 2}, NoWait: true})
	assert.ErrorIs(t, err, interpreters.ErrQueueFull)
}

func TestAWaitEndsWithItsCtxAndLosesNothing(t *testing.T) { // Q6, Q7
	ip := create(t, interpreters.Config{Grace: patience})
	q, h := queue(t, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := interpreters.Call(ctx, ip, tasks.Get, tasks.Getting{Q: h, N: 1})
	assert.ErrorIs(t, err, interpreters.ErrQueueEmpty)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, q.Put(within(t), 1), "nobody has taken it")

	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = interpreters.Call(ctx, ip, tasks.Put, tasks.Putting{Q: h, Values: []any{2}})
	assert.ErrorIs(t, err, interpreters.ErrQueueFull)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	got, err := interpreters.GetAs[int](within(t), q)
	require.NoError(t, err)
	assert.Equal(t, 1, got)
	assert.True(t, q.Empty())
}

func TestOtherGoroutinesRunWhileOneWaits(t *testing.T) {
	ip := create(t, interpreters.Config{})
	q, h := queue(t, 0)
	time.AfterFunc(50*time.Millisecond, func() { assert.NoError(t, q.PutNoWait(1)) })
	ran, err := interpreters.Call(within(t), ip, tasks.GetLate, h)
	require.NoError(t, err)
	assert.Greater(t, ran, 1)
}

func TestACrowdIsServed(t *testing.T) {
	ip := create(t, interpreters.Config{})
	q, h := queue(t, 3)
	const n = 100
	var putter sync.WaitGroup
	putter.Go(func() {
		for i := range n {
			assert.NoError(t, q.Put(context.Background(), i))
		}
	})
	sum, err := interpreters.Call(within(t), ip, tasks.Crowd, tasks.Getting{Q: h, N: n})
	require.NoError(t, err)
	assert.Equal(t, n*(n-1)/2, sum)
	putter.Wait()
}

func TestInterpretersFeedEachOther(t *testing.T) {
	a, b := create(t, interpreters.Config{}), create(t, interpreters.Config{})
	_, h1 := queue(t, 2)
	q2, h2 := queue(t, 2)
	const n = 200
	var guests sync.WaitGroup
	guests.Go(func() {
		_, err := interpreters.Call(context.Background(), a, tasks.Relay, tasks.Relaying{From: h1, To: h2, N: n})
		assert.NoError(t, err)
	})
	guests.Go(func() {
		values := make([]any, n)
		for i := range values {
			values[i] = i
		}
		_, err := interpreters.Call(context.Background(), b, tasks.Put, tasks.Putting{Q: h1, Values: values})
		assert.NoError(t, err)
	})
	for i := range n {
		got, err := interpreters.GetAs[int](within(t), q2)
		require.NoError(t, err)
		require.Equal(t, i+1, got)
	}
	guests.Wait()
}

func TestItemsOfADeadInterpreter(t *testing.T) { // Q10, Q11
	for _, end := range []struct {
		name string
		end  func(*testing.T, *interpreters.Interpreter)
	}{
		{"closed", func(t *testing.T, ip *interpreters.Interpreter) { require.NoError(t, ip.Close()) }},
		{"died", func(t *testing.T, ip *interpreters.Interpreter) {
			_, err := interpreters.Call(within(t), ip, tasks.Exit, 1)
			require.Error(t, err)
		}},
		{"killed", func(_ *testing.T, ip *interpreters.Interpreter) { ip.Kill(errors.New("enough")) }},
	} {
		t.Run(end.name, func(t *testing.T) {
			ip, witness := create(t, interpreters.Config{}), create(t, interpreters.Config{})
			q, h := queue(t, 0, interpreters.UnboundItems(interpreters.UnboundError))
			require.NoError(t, q.Put(within(t), "main's"))
			_, err := interpreters.Call(within(t), ip, tasks.PutUnbound, tasks.Putting{Q: h})
			require.NoError(t, err)
			assert.Equal(t, 5, q.QSize())
			end.end(t, ip)
			assert.Equal(t, 4, q.QSize(), "one is removed")

			got, err := interpreters.Call(within(t), witness, tasks.GetAny, h)
			require.NoError(t, err)
			assert.Equal(t, "main's", got)
			_, err = interpreters.Call(within(t), witness, tasks.GetAny, h)
			assert.ErrorIs(t, err, interpreters.ErrItemInterpreterDestroyed)
			got, err = interpreters.Call(within(t), witness, tasks.GetAny, h)
			require.NoError(t, err)
			assert.Equal(t, "UNBOUND", got)
			var v any
			assert.ErrorIs(t, q.Get(within(t), &v), interpreters.ErrItemInterpreterDestroyed)
			assert.True(t, q.Empty())
		})
	}
}

func TestAClosedQueueIsNotFound(t *testing.T) { // Q13
	ip := create(t, interpreters.Config{})
	q, h := queue(t, 0)
	over := make(chan error)
	go func() {
		_, err := interpreters.Call(context.Background(), ip, tasks.Get, tasks.Getting{Q: h, N: 1})
		over <- err
	}()
	require.Eventually(t, ip.IsRunning, patience, time.Millisecond)
	require.NoError(t, q.Close())
	assert.ErrorIs(t, <-over, interpreters.ErrQueueNotFound)
	_, err := interpreters.Call(within(t), ip, tasks.Put, tasks.Putting{Q: h, Values: []any{1}})
	assert.ErrorIs(t, err, interpreters.ErrQueueNotFound)
}

func TestAGuestCannotMakeUpAQueue(t *testing.T) {
	ip := create(t, interpreters.Config{})
	q, _ := queue(t, 0)
	_, err := interpreters.Call(within(t), ip, tasks.Forge, q.ID())
	assert.ErrorIs(t, err, interpreters.ErrQueueNotFound, "nor hand it on")
	assert.True(t, q.Empty())
}

// The same Func, on goroutines.
func TestAFuncWithAQueueRunsInAThreadPool(t *testing.T) {
	pool, err := threadpool.New(threadpool.Config{})
	require.NoError(t, err)
	defer pool.Close()
	q, h := queue(t, 0)
	n, err := futures.Submit(within(t), pool, tasks.Put, tasks.Putting{Q: h, Values: []any{1, 2}}).Result(within(t))
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	got, err := futures.Submit(within(t), pool, tasks.Get, tasks.Getting{Q: h, N: 2}).Result(within(t))
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, got)
	require.NoError(t, h.Put(within(t), h))
	var same *worker.Queue
	require.NoError(t, h.Get(within(t), &same))
	assert.Same(t, h, same)
	s, err := futures.Submit(within(t), pool, tasks.QueueInfo, h).Result(within(t))
	require.NoError(t, err)
	assert.Equal(t, tasks.State{ID: q.ID(), Empty: true, Text: q.String()}, s)
}

// What PrepareMain has not bound it has not granted either (N12).
func TestAQueueThatWasNotBoundIsNotGranted(t *testing.T) {
	ip := create(t, interpreters.Config{})
	q, _ := queue(t, 0)
	err := ip.PrepareMain(within(t), map[string]any{"a": q, "b": func() {}})
	require.ErrorIs(t, err, futures.ErrNotShareable)
	_, err = interpreters.Call(within(t), ip, tasks.Forge, q.ID())
	assert.ErrorIs(t, err, futures.ErrNotShareable, "a handle of a queue that it may not use")
	assert.True(t, q.Empty())
}
