package interpreters_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

func TestAnEndlessLoopIsStopped(t *testing.T) {
	ip := create(t, interpreters.Config{Grace: 20 * time.Millisecond})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := interpreters.Call(ctx, ip, tasks.Spin, struct{}{})
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.Equal(t, interpreters.Interrupted, died.Reason)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestFuelRunsOut(t *testing.T) {
	ip := create(t, interpreters.Config{Fuel: 5000})
	_, err := interpreters.Call(context.Background(), ip, tasks.Add, tasks.Pair{A: 1, B: 2})
	require.NoError(t, err)
	_, err = interpreters.Call(context.Background(), ip, tasks.Spin, struct{}{})
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.Equal(t, interpreters.Interrupted, died.Reason)
	assert.ErrorIs(t, err, interpreters.ErrOutOfFuel)
}

// Code that the compiler has made is not preempted. Without ticks the collector would wait for the end of the loops, which never comes.
func TestComputingGuestsDoNotStopTheHost(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var guests sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		ip := create(t, interpreters.Config{Grace: -1})
		guests.Go(func() {
			_, err := interpreters.Call(ctx, ip, tasks.Spin, struct{}{})
			assert.ErrorIs(t, err, context.Canceled)
		})
		require.Eventually(t, ip.IsRunning, patience, time.Millisecond)
	}
	runtime.GC()
	cancel()
	guests.Wait()
}
