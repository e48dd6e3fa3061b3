package interpreters_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// TestInterpreterIsRunning.test_with_only_background_threads, TestInterpreterClose.test_subthreads_still_running (N9, N10)
func TestAGoroutineThatIsLeftBehindKeepsNothing(t *testing.T) {
	ip := create(t, interpreters.Config{})
	q := newQueue(t, 0)
	way := tasks.Way{From: worker.QueueOf(q), To: worker.QueueOf(q), N: 1}
	_, err := interpreters.Call(within(t), ip, tasks.LeaveWaiting, way)
	require.NoError(t, err)
	assert.False(t, ip.IsRunning())
	require.NoError(t, ip.Close())
	assert.False(t, ip.IsRunning())
	require.NoError(t, q.Put(within(t), "nobody waits for it"))
	assert.Equal(t, 1, q.QSize())
}

// TestInterpreterExec.test_already_running (N14)
func TestExecRefusesAnInterpreterThatRuns(t *testing.T) {
	ip := createWith(t, scripted(t), interpreters.Config{})
	q, ready := newQueue(t, 0), newQueue(t, 0)
	bind(t, ip, map[string]*interpreters.Queue{"q": q, "ready": ready})
	done := make(chan error, 1)
	go func() { done <- ip.Exec(within(t), "ready.put(1)\nx = q.get()") }()
	_, err := interpreters.GetAs[int](within(t), ready)
	require.NoError(t, err)
	assert.True(t, ip.IsRunning())
	assert.ErrorIs(t, ip.Exec(within(t), "x = 2"), interpreters.ErrRunning)
	require.NoError(t, q.Put(within(t), 1))
	require.NoError(t, <-done)
	require.NoError(t, ip.Exec(within(t), "x == 1 or fail(x)"))
}
