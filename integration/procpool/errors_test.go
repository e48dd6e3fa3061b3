//go:build linux

package procpool_test

import (
	"context"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/threadpool"
)

// A failure of a function looks the same whatever executor it ran on.
func TestFailuresAreTheSameOnEveryExecutor(t *testing.T) {
	failures := []struct {
		how      string
		is       error
		isNot    error
		typ      string
		message  string
		panicked bool
		stack    string
	}{
		{how: "known", is: errKnown, typ: "*fmt.wrapError", message: "wrapped: known on both sides"},
		{how: "joined", is: errKnown, typ: "*errors.joinError", message: "known to nobody\ndeep: deeper: known on both sides"},
		{how: "not exist", is: fs.ErrNotExist, typ: "*fs.PathError", message: "open /does/not/exist: no such file or directory"},
		{how: "unknown", isNot: errKnown, typ: "*errors.errorString", message: "known to nobody"},
		{how: "panic", isNot: errKnown, typ: "string", message: "a remote panic", panicked: true, stack: "panicDeepInside"},
		{how: "panic with error", is: errKnown, typ: "*fmt.wrapError", message: "thrown: known on both sides", panicked: true, stack: "workers_test.go:"},
		{how: "goexit", typ: "runtime.Goexit", message: "the function called runtime.Goexit and never returned", panicked: true},
	}
	for name, open := range map[string]func(*testing.T) futures.Executor{
		"procpool": func(t *testing.T) futures.Executor { return newPool(t, procpool.Config{MaxWorkers: 1}) },
		"threadpool": func(t *testing.T) futures.Executor {
			pool, err := threadpool.New(threadpool.Config{MaxWorkers: 1})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, pool.Close()) })
			return pool
		},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			pool := open(t)
			for _, c := range failures {
				_, err := futures.Submit(context.Background(), pool, fail, c.how).Result(bounded(t))
				var failed *futures.TaskError
				require.ErrorAs(t, fmt.Errorf("wrapped once more: %w", err), &failed, c.how)
				assert.Equal(t, "test.Fail", failed.Func)
				assert.Equal(t, c.typ, failed.Type)
				assert.Equal(t, c.message, failed.Message)
				assert.Equal(t, c.panicked, failed.Panicked)
				assert.Contains(t, failed.Stack, c.stack)
				assert.Contains(t, fmt.Sprintf("%+v", failed), c.stack)
				if c.is != nil {
					assert.ErrorIs(t, err, c.is)
				}
				if c.isNot != nil {
					assert.NotErrorIs(t, err, c.isNot)
				}
				assert.NotErrorIs(t, err, futures.ErrBrokenExecutor)
				_, err = futures.Submit(context.Background(), pool, echo, "still there").Result(bounded(t))
				require.NoError(t, err)
			}
		})
	}
}
