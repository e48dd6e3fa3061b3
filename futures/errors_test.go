package futures_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// runOne runs body under ctx as an executor would.
func runOne(ctx context.Context, body func(context.Context, int) (int, error)) *futures.TaskError {
	err := futures.NewFunc("task", body).NewInvocation().Run(ctx)
	var task *futures.TaskError
	if !errors.As(err, &task) {
		return nil
	}
	return task
}

func TestAPanicBecomesATaskErrorWithItsStack(t *testing.T) {
	task := runOne(t.Context(), func(context.Context, int) (int, error) { panic("doh!") })
	require.NotNil(t, task)
	assert.EqualError(t, task, "task: panic: doh!")
	assert.True(t, task.Panicked)
	assert.Equal(t, "string", task.Type)
	assert.Contains(t, task.Stack, "TestAPanicBecomesATaskErrorWithItsStack", "where it panicked")
	assert.Empty(t, task.Causes)
}

func TestPanicsOfEveryKind(t *testing.T) {
	var m map[string]int
	for _, tt := range []struct {
		body    func()
		message string
		kind    string
	}{
		{func() { panic(nil) }, "panic called with nil argument", "*runtime.PanicNilError"},
		{func() { m["x"] = 1 }, "assignment to entry in nil map", "runtime.plainError"},
		{func() { panic(42) }, "42", "int"},
		{func() { panic(badText{}) }, "(futures_test.badText: its text cannot be had: panic: string)", "futures_test.badText"},
	} {
		task := runOne(t.Context(), func(context.Context, int) (int, error) { tt.body(); return 0, nil })
		require.NotNil(t, task)
		assert.Contains(t, task.Message, tt.message)
		assert.Equal(t, tt.kind, task.Type)
		assert.True(t, task.Panicked)
	}
}

// falsy is an error that is nil in all but its type.
type falsy struct{ _ int }

func (*falsy) Error() string { return "" }

// executor.py::ExecutorTest::test_swallows_falsey_exceptions, row E9: an error is an error, whatever its value
func TestATypedNilIsAFailure(t *testing.T) {
	task := runOne(t.Context(), func(context.Context, int) (int, error) {
		var none *falsy
		return 1, none
	})
	require.NotNil(t, task)
	assert.Equal(t, "*futures_test.falsy", task.Type)
	assert.EqualError(t, task, "task: ")
	assert.False(t, task.Panicked)
}

func TestAnErrorWithoutATextIsAFailure(t *testing.T) {
	task := runOne(t.Context(), func(context.Context, int) (int, error) { return 1, badText{} })
	require.NotNil(t, task)
	assert.Contains(t, task.Message, "its text cannot be had")
	assert.False(t, task.Panicked)
}

func TestATaskErrorSaysWhyItsCtxWasDone(t *testing.T) {
	errWhy := errors.New("why")
	wait := func(ctx context.Context, _ int) (int, error) {
		return 0, fmt.Errorf("gave up: %w", ctx.Err())
	}
	task := runOne(done(errWhy), wait)
	require.NotNil(t, task)
	assert.ErrorIs(t, task, context.Canceled)
	assert.ErrorIs(t, task, errWhy)

	task = runOne(done(errWhy), func(context.Context, int) (int, error) { return 0, errBoom })
	assert.ErrorIs(t, task, errBoom)
	assert.NotErrorIs(t, task, errWhy, "the failure has nothing to do with the ctx")

	task = runOne(done(nil), wait)
	assert.Len(t, task.Causes, 1, "a cause that says nothing new is left out")
}

func TestTaskErrorFormats(t *testing.T) {
	e := &futures.TaskError{Func: "f", Message: "doh", Stack: "goroutine 1 [running]", Panicked: true}
	assert.Equal(t, "f: panic: doh", fmt.Sprintf("%v", e))
	assert.Equal(t, "f: panic: doh", fmt.Sprintf("%s", e))
	assert.Equal(t, `"f: panic: doh"`, fmt.Sprintf("%q", e))
	assert.Equal(t, "f: panic: doh\n\ngoroutine 1 [running]", fmt.Sprintf("%+v", e))
	assert.Equal(t, "f: doh", fmt.Sprintf("%+v", &futures.TaskError{Func: "f", Message: "doh"}))
}

func TestGoexitError(t *testing.T) {
	e := futures.GoexitError("f")
	assert.True(t, e.Panicked)
	assert.Equal(t, "runtime.Goexit", e.Type)
	assert.ErrorContains(t, e, "f: panic: the function called runtime.Goexit")
}
