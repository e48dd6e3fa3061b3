package futures_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// row E7, divergence: what cannot be called is found out when it is made
func TestNewFuncPanicsOnWhatCouldNeverRun(t *testing.T) {
	body := func(context.Context, int) (int, error) { return 0, nil }
	assert.PanicsWithValue(t, "futures.NewFunc: name is empty", func() { futures.NewFunc("", body) })
	assert.PanicsWithValue(t, "futures.NewFunc: body of f is nil", func() { futures.NewFunc[int, int]("f", nil) })
	assert.PanicsWithValue(t, "futures.Declare: name is empty", func() { futures.Declare[int, int]("") })
}

func TestCallRunsTheBodyHere(t *testing.T) {
	type key struct{}
	fn := futures.NewFunc("f", func(ctx context.Context, n int) (string, error) {
		assert.Equal(t, "here", ctx.Value(key{}))
		assert.Equal(t, 7, n)
		return "seven", errBoom
	})
	out, err := fn.Call(context.WithValue(t.Context(), key{}, "here"), 7)
	assert.Equal(t, "seven", out)
	assert.Equal(t, errBoom, err, "as the body returned it")
	assert.Equal(t, "f", fn.Name())
	assert.True(t, fn.HasBody())
}

func TestCallContainsNoPanic(t *testing.T) {
	fn := futures.NewFunc("f", func(context.Context, int) (int, error) { panic("oh") })
	assert.PanicsWithValue(t, "oh", func() { _, _ = fn.Call(t.Context(), 1) })
}

func TestADeclaredFuncHasNoBody(t *testing.T) {
	fn := futures.Declare[int, string]("far")
	assert.Equal(t, "far", fn.Name())
	assert.False(t, fn.HasBody())
	out, err := fn.Call(t.Context(), 1)
	assert.Empty(t, out)
	assert.ErrorIs(t, err, futures.ErrNoBody)
	assert.ErrorContains(t, err, `"far"`)
}

func TestTypesOfAFunc(t *testing.T) {
	in, out := futures.Declare[[]byte, map[string]error]("f").Types()
	assert.Equal(t, reflect.TypeFor[[]byte](), in)
	assert.Equal(t, reflect.TypeFor[map[string]error](), out)
}

func TestAnInvocationRunsTheBodyWithTheArgumentThatWasFilledIn(t *testing.T) {
	var fn futures.Callable = double
	i := fn.NewInvocation()
	*i.Arg().(*int) = 21
	require.NoError(t, i.Run(t.Context()))
	assert.Equal(t, 42, *i.Result().(*int))
	other := fn.NewInvocation()
	assert.Zero(t, *other.Arg().(*int), "each has room of its own")
}

func TestAnInvocationReportsFailures(t *testing.T) {
	i := oddFails.NewInvocation()
	*i.Arg().(*int) = 1
	err := i.Run(t.Context())
	var task *futures.TaskError
	require.ErrorAs(t, err, &task)
	assert.Equal(t, "oddFails", task.Func)
	assert.ErrorIs(t, err, errBoom)
	assert.ErrorIs(t, futures.Declare[int, int]("far").NewInvocation().Run(t.Context()), futures.ErrNoBody)
}

func TestBind(t *testing.T) {
	var ran []string
	fn := futures.NewFunc("init", func(_ context.Context, s string) (int, error) {
		ran = append(ran, s)
		if s == "bad" {
			return 0, errBoom
		}
		return 1, nil
	})
	b := futures.Bind(fn, "good")
	assert.False(t, b.IsZero())
	assert.Equal(t, "init", b.Func().Name())
	assert.Equal(t, "good", *b.Arg().(*string))
	assert.Empty(t, ran, "it waits to be made")
	assert.NoError(t, b.Run(t.Context()))
	assert.NoError(t, b.Run(t.Context()))
	assert.Equal(t, []string{"good", "good"}, ran)

	err := futures.Bind(fn, "bad").Run(t.Context())
	var task *futures.TaskError
	require.ErrorAs(t, err, &task)
	assert.ErrorIs(t, err, errBoom)

	var zero futures.Bound
	assert.True(t, zero.IsZero())
	assert.Nil(t, zero.Func())
}

func TestBindContainsAPanic(t *testing.T) {
	fn := futures.NewFunc("init", func(context.Context, int) (int, error) { panic(errBoom) })
	err := futures.Bind(fn, 1).Run(t.Context())
	var task *futures.TaskError
	require.ErrorAs(t, err, &task)
	assert.True(t, task.Panicked)
	assert.ErrorIs(t, err, errBoom, "a panic with an error keeps it")
}
