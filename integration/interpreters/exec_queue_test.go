package interpreters_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// The names in parentheses are those of CPython's Lib/test/test_interpreters/test_queues.py.

func newQueue(t testing.TB, maxsize int, opts ...interpreters.QueueOption) *interpreters.Queue {
	q := interpreters.CreateQueue(maxsize, opts...)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return q
}

// bind gives an interpreter queues by name.
func bind(t testing.TB, ip *interpreters.Interpreter, queues map[string]*interpreters.Queue) {
	t.Helper()
	values := map[string]any{}
	for name, q := range queues {
		values[name] = q
	}
	require.NoError(t, ip.PrepareMain(within(t), values))
}

// TestQueueOps.test_put_get_different_interpreters (Q2)
func TestScriptsFeedOneAnother(t *testing.T) {
	const n = 50
	in, between, out := newQueue(t, 1), newQueue(t, 2), newQueue(t, 1)
	names := map[string]*interpreters.Queue{"q_in": in, "between": between, "q_out": out}
	done := make(chan error, 2)
	for _, code := range []string{
		"for i in range(50): between.put([q_in.get()])",
		"def double(item): return item[0] * 2\nfor i in range(50): q_out.put(double(between.get()))",
	} {
		ip := createWith(t, scripted(t), interpreters.Config{})
		bind(t, ip, names)
		go func() { done <- ip.Exec(within(t), code) }()
	}
	fed := make(chan error, 1)
	go func() {
		for i := range n {
			if err := in.Put(within(t), i); err != nil {
				fed <- err
				return
			}
		}
		fed <- nil
	}()
	for i := range n {
		v, err := interpreters.GetAs[int](within(t), out)
		require.NoError(t, err)
		assert.Equal(t, 2*i, v)
	}
	require.NoError(t, <-fed)
	require.NoError(t, <-done)
	require.NoError(t, <-done)
}

// QueueTests.test_shareable (Q3)
func TestAQueueComesBackFromAGuestAsTheSameQueue(t *testing.T) {
	q, other, unknown := newQueue(t, 0), newQueue(t, 0), newQueue(t, 0)
	ip := createWith(t, scripted(t), interpreters.Config{})
	bind(t, ip, map[string]*interpreters.Queue{"q": q})
	require.NoError(t, q.Put(within(t), []any{other, q}))
	require.NoError(t, ip.Exec(within(t), `
other, same = q.get()
same == q or fail("another queue")
other.put("used")
q.put({"back": other})`))
	back, err := interpreters.GetAs[map[string]*interpreters.Queue](within(t), q)
	require.NoError(t, err)
	assert.Same(t, other, back["back"])
	text, err := interpreters.GetAs[string](within(t), other)
	require.NoError(t, err)
	assert.Equal(t, "used", text)

	require.NoError(t, q.Put(within(t), "through a Func"))
	to, err := interpreters.Call(within(t), ip, tasks.Forward, tasks.Way{From: worker.QueueOf(q), To: worker.QueueOf(other), N: 1})
	require.NoError(t, err)
	assert.Equal(t, other.ID(), to.ID())
	assert.Equal(t, 1, other.QSize())
	require.NoError(t, ip.Exec(within(t), "tasks.Forward(From=other, To=q, N=1) == q or fail()"))
	assert.Equal(t, []int{1, 0, 0}, []int{q.QSize(), other.QSize(), unknown.QSize()})
}

// TestQueueOps.test_put_cleared_with_subinterpreter (Q10)
func TestItemsOfAScriptOutliveItOrNot(t *testing.T) {
	var out bytes.Buffer
	keep, drop := newQueue(t, 0), newQueue(t, 0, interpreters.UnboundItems(interpreters.UnboundRemove))
	names := map[string]*interpreters.Queue{"keep": keep, "drop": drop}
	giver, heir := createWith(t, scripted(t), interpreters.Config{}), createWith(t, scripted(t), interpreters.Config{Stdout: &out})
	bind(t, giver, names)
	bind(t, heir, names)
	require.NoError(t, giver.Exec(within(t), "[q.put(i) for q in (keep, drop) for i in range(3)]"))
	require.NoError(t, heir.Exec(within(t), "print(keep.get(), drop.get())"))
	require.NoError(t, giver.Close())
	assert.Equal(t, []int{2, 0}, []int{keep.QSize(), drop.QSize()})
	require.NoError(t, heir.Exec(within(t), "print(keep.get() == UNBOUND, keep.qsize(), drop.empty())"))
	assert.Equal(t, "0 0\nTrue 1 True\n", out.String())
}

func TestAScriptThatWaitsIsCancelledAndLosesNothing(t *testing.T) {
	var out bytes.Buffer
	q, ready := newQueue(t, 0), newQueue(t, 0)
	ip := createWith(t, scripted(t), interpreters.Config{Stdout: &out})
	bind(t, ip, map[string]*interpreters.Queue{"q": q, "ready": ready})
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan error, 1)
	go func() { done <- ip.Exec(ctx, "ready.put(1)\nq.get()") }()
	_, err := interpreters.GetAs[int](within(t), ready)
	require.NoError(t, err)
	cancel()
	err = <-done
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, "Interrupted", failedIn(t, err).Type)
	require.NoError(t, q.Put(within(t), "kept"))
	require.NoError(t, ip.Exec(within(t), "print(q.get())"))
	assert.Equal(t, "kept\n", out.String())
}

func TestErrorsOfQueuesKeepTheirIdentityThroughAScript(t *testing.T) {
	q := newQueue(t, 1)
	ip := createWith(t, scripted(t), interpreters.Config{})
	bind(t, ip, map[string]*interpreters.Queue{"q": q})
	assert.ErrorIs(t, ip.Exec(within(t), "q.get_nowait()"), interpreters.ErrQueueEmpty)
	assert.ErrorIs(t, ip.Exec(within(t), "q.put(1)\nq.put(2, timeout=0.001)"), interpreters.ErrQueueFull)
}

// A goroutine that a call has left behind waits at a queue while nobody runs its interpreter. Others get the items.
func TestAnInterpreterThatIsNotCalledHoldsNothingUp(t *testing.T) {
	in, out := newQueue(t, 0), newQueue(t, 0)
	sleeper, other := createWith(t, scripted(t), interpreters.Config{}), createWith(t, scripted(t), interpreters.Config{})
	bind(t, sleeper, map[string]*interpreters.Queue{"q": out})
	way := tasks.Way{From: worker.QueueOf(in), To: worker.QueueOf(out), N: 2}
	_, err := interpreters.Call(within(t), sleeper, tasks.LeaveWaiting, way)
	require.NoError(t, err)
	require.NoError(t, sleeper.Exec(within(t), "q.put('it waits'); q.get()")) // it ran until it could go no further
	require.NoError(t, in.Put(within(t), "first"))
	got, err := interpreters.GetAs[string](within(t), in)
	require.NoError(t, err)
	assert.Equal(t, "first", got)

	ready := newQueue(t, 0)
	bind(t, other, map[string]*interpreters.Queue{"ready": ready, "q_in": in, "q_out": out})
	done := make(chan error, 1)
	go func() {
		done <- other.Exec(within(t), "for i in range(20):\n    ready.put(i)\n    q_out.put(q_in.get())")
	}()
	for range 20 {
		_, err := interpreters.GetAs[int](within(t), ready) // now, or soon, it stands in line behind the sleeper
		require.NoError(t, err)
		require.NoError(t, in.Put(within(t), "second"))
		got, err := interpreters.GetAs[string](within(t), out)
		require.NoError(t, err)
		assert.Equal(t, "second", got)
	}
	require.NoError(t, <-done)

	require.NoError(t, in.Put(within(t), "third"))
	require.NoError(t, in.Put(within(t), "fourth"))
	require.NoError(t, sleeper.Exec(within(t), "[q.get(), q.get()] == ['third', 'fourth'] or fail()")) // now it runs, and so does the goroutine
}
