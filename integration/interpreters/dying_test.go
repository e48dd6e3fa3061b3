package interpreters_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// dying is a way to die.
type dying struct {
	name   string
	config interpreters.Config
	call   func(context.Context, *interpreters.Interpreter) error
	reason interpreters.Reason
	status int
	stderr string // is part of it
}

func calling[In, Out any](fn futures.Func[In, Out], in In) func(context.Context, *interpreters.Interpreter) error {
	return func(ctx context.Context, ip *interpreters.Interpreter) error {
		_, err := interpreters.Call(ctx, ip, fn, in)
		return err
	}
}

func TestAnInterpreterDiesAloneAndSaysWhy(t *testing.T) {
	small := interpreters.Config{MemoryLimit: 32 << 20}
	witness := create(t, interpreters.Config{})
	for _, d := range []dying{
		{"exit", interpreters.Config{}, calling(tasks.Exit, 3), interpreters.Exit, 3, ""},
		{"exit 0", interpreters.Config{}, calling(tasks.Exit, 0), interpreters.Exit, 0, ""},
		{"exit 2", interpreters.Config{}, calling(tasks.Exit, 2), interpreters.Exit, 2, ""},
		{"panic in a goroutine", interpreters.Config{}, calling(tasks.GoPanic, "ouch"), interpreters.Panic, 2, "panic: ouch"},
		{"out of memory", small, calling(tasks.Eat, 200), interpreters.OutOfMemory, 2, "out of memory"},
		{"stack overflow", interpreters.Config{}, calling(tasks.Recurse, 1), interpreters.StackOverflow, 2, "stack overflow"},
		{"stack overflow in little memory", small, calling(tasks.Recurse, 1), interpreters.StackOverflow, 2, "stack overflow"},
		{"deadlock", interpreters.Config{}, calling(tasks.Block, struct{}{}), interpreters.Deadlock, 2, "tasks.init"},
	} {
		t.Run(d.name, func(t *testing.T) {
			ip := create(t, d.config)
			ctx, cancel := context.WithCancel(context.Background()) // which the guest does not wait for
			defer cancel()
			err := d.call(ctx, ip)
			var died *interpreters.Died
			require.ErrorAs(t, err, &died)
			assert.Equal(t, d.reason, died.Reason, "%v", err)
			assert.Equal(t, d.status, died.ExitCode)
			assert.Equal(t, ip.ID(), died.ID)
			assert.Contains(t, died.Stderr, d.stderr)
			assert.ErrorIs(t, err, interpreters.ErrInterpreter)

			_, again := interpreters.Call(within(t), ip, tasks.Add, tasks.Pair{})
			assert.Equal(t, err, again, "every later call says how it came")
			assert.NotContains(t, interpreters.ListAll(), ip)
			_, err = interpreters.Lookup(ip.ID())
			assert.ErrorIs(t, err, interpreters.ErrNotFound)
			assert.False(t, ip.IsRunning())
			assert.NoError(t, ip.Close(), "the first Close")
			assert.ErrorIs(t, ip.Close(), interpreters.ErrNotFound, "the second")

			sum, err := interpreters.Call(within(t), witness, tasks.Add, tasks.Pair{A: 1, B: 2})
			require.NoError(t, err, "the others go on")
			assert.Equal(t, 3, sum)
		})
	}
}

func TestWhatIsAllowedDoesNotKill(t *testing.T) {
	ip := create(t, interpreters.Config{MemoryLimit: 64 << 20})
	n, err := interpreters.Call(within(t), ip, tasks.Depth, 100_000)
	require.NoError(t, err)
	assert.Equal(t, 100_000, n)
	n, err = interpreters.Call(within(t), ip, tasks.Eat, 25)
	require.NoError(t, err)
	assert.Equal(t, 25, n)
	n, err = interpreters.Call(within(t), ip, tasks.Churn, 300)
	require.NoError(t, err, "garbage does not count")
	assert.Equal(t, 300, n)
}

func TestAPoliteFunctionIsCancelledAndTheInterpreterGoesOn(t *testing.T) {
	sentinel := errors.New("enough")
	for name, call := range map[string]func(context.Context, *interpreters.Interpreter) error{
		"waiting":   calling(tasks.Listen, struct{}{}),
		"computing": calling(tasks.SpinPolitely, struct{}{}),
	} {
		t.Run(name, func(t *testing.T) {
			ip := create(t, interpreters.Config{Grace: patience})
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			err := call(ctx, ip)
			var failed *interpreters.ExecutionFailed
			require.ErrorAs(t, err, &failed)
			assert.ErrorIs(t, err, context.DeadlineExceeded)

			ctx2, cancel2 := context.WithCancelCause(context.Background())
			time.AfterFunc(20*time.Millisecond, func() { cancel2(sentinel) })
			err = call(ctx2, ip)
			require.ErrorAs(t, err, &failed)
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorIs(t, err, sentinel, "why its ctx is done")

			sum, err := interpreters.Call(within(t), ip, tasks.Add, tasks.Pair{A: 1, B: 2})
			require.NoError(t, err)
			assert.Equal(t, 3, sum)
		})
	}
}

func TestADeafFunctionIsStoppedAfterTheGrace(t *testing.T) {
	ip := create(t, interpreters.Config{Grace: 30 * time.Millisecond})
	start := time.Now() // the ctx counts from later
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := interpreters.Call(ctx, ip, tasks.Sleep, time.Minute)
	took := time.Since(start)
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.Equal(t, interpreters.Interrupted, died.Reason)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.GreaterOrEqual(t, took, 50*time.Millisecond)
	assert.Less(t, took, patience)
}

func TestGoexitFailsTheCallAlone(t *testing.T) {
	ip := create(t, interpreters.Config{})
	for range 3 {
		_, err := interpreters.Call(within(t), ip, tasks.Goexit, struct{}{})
		var failed *interpreters.ExecutionFailed
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "runtime.Goexit", failed.Excinfo.Type)
		var task *futures.TaskError
		require.ErrorAs(t, err, &task)
		assert.True(t, task.Panicked)
	}
	sum, err := interpreters.Call(within(t), ip, tasks.Add, tasks.Pair{A: 1, B: 2})
	require.NoError(t, err)
	assert.Equal(t, 3, sum)
}

func TestKill(t *testing.T) {
	sentinel := errors.New("not needed")
	idle := create(t, interpreters.Config{})
	idle.Kill(sentinel)
	_, err := interpreters.Call(within(t), idle, tasks.Add, tasks.Pair{})
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.Equal(t, interpreters.Interrupted, died.Reason)
	assert.ErrorIs(t, err, sentinel)

	busy := create(t, interpreters.Config{})
	waiting := make(chan error)
	go func() {
		_, err := interpreters.Call(context.Background(), busy, tasks.Sleep, time.Minute)
		waiting <- err
	}()
	require.Eventually(t, busy.IsRunning, patience, time.Millisecond)
	busy.Kill(sentinel)
	assert.ErrorIs(t, <-waiting, sentinel)
	busy.Kill(sentinel) // nothing more
	interpreters.GetMain().Kill(sentinel)
	assert.True(t, interpreters.GetMain().IsRunning())
}

func TestStderrIsKeptToItsEnd(t *testing.T) {
	var out, errout strings.Builder
	ip := create(t, interpreters.Config{Stdout: &out, Stderr: &errout})
	long := strings.Repeat("x", 100<<10) + "the end"
	_, err := interpreters.Call(within(t), ip, tasks.Write, long)
	require.NoError(t, err)
	assert.Equal(t, long, out.String())
	assert.Equal(t, long, errout.String())
	_, err = interpreters.Call(within(t), ip, tasks.Exit, 1)
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.Len(t, died.Stderr, 64<<10)
	assert.True(t, strings.HasSuffix(died.Stderr, "the end"))
}
