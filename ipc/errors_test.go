package ipc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// travel is what becomes of a function's failure on its way to the host.
func travel(t *testing.T, e *futures.TaskError) error {
	t.Helper()
	m := parse(t, ipc.AppendFailure(nil, 1, ipc.TaskFailure(e)))
	return decodeParam[ipc.Failure](t, m.Failure).Err(e.Func)
}

func TestTaskErrorsTravel(t *testing.T) {
	for _, panicked := range []bool{false, true} {
		e := &futures.TaskError{
			Func: "f", Type: "T", Message: "M", Stack: "S", Panicked: panicked,
			Causes: []error{fmt.Errorf("deep: %w", errors.Join(io.EOF, fs.ErrNotExist)), context.DeadlineExceeded, errors.New("unknown")},
		}
		var back *futures.TaskError
		require.ErrorAs(t, travel(t, e), &back)
		assert.ElementsMatch(t, []error{io.EOF, fs.ErrNotExist, context.DeadlineExceeded}, back.Causes)
		back.Causes, e.Causes = nil, nil
		assert.Equal(t, e, back)
	}
}

func TestFailuresAsTheCallerSeesThem(t *testing.T) {
	for kind, want := range map[ipc.FailureKind]error{
		ipc.FailedArgument:  futures.ErrNotShareable,
		ipc.FailedResult:    futures.ErrNotShareable,
		ipc.FailedFunction:  futures.ErrNoBody,
		ipc.FailedWithdrawn: ipc.ErrProtocol, // the host handles it before, where it is true
		"of the future":     ipc.ErrProtocol,
		"":                  ipc.ErrProtocol,
	} {
		err := ipc.Failure{Kind: kind, Message: "details"}.Err("pkg.Func")
		require.ErrorIs(t, err, want, "%q", kind)
		assert.ErrorContains(t, err, "pkg.Func")
		assert.ErrorContains(t, err, "details")
		var task *futures.TaskError
		assert.NotErrorAs(t, err, &task, "%q: the function is not to blame", kind)
	}
}

func TestCodesThatAreNotKnownAreLeftOut(t *testing.T) {
	var task *futures.TaskError
	require.ErrorAs(t, ipc.Failure{Kind: ipc.FailedTask, Codes: []string{"", "io.EOF", "no.such", "io.EO", "io.EOFF"}}.Err("f"), &task)
	assert.Equal(t, []error{io.EOF}, task.Causes)
}

func TestRegisteredErrorsKeepTheirIdentity(t *testing.T) {
	mine, other := errors.New("mine"), errors.New("other")
	e := &futures.TaskError{Func: "f", Causes: []error{fmt.Errorf("wrapped: %w", mine)}}
	require.NotErrorIs(t, travel(t, e), mine, "not registered yet")
	ipc.RegisterError("errors_test.mine", mine)
	require.ErrorIs(t, travel(t, e), mine)
	ipc.RegisterError("errors_test.mine", mine) // the same again
	ipc.RegisterError("errors_test.mine2", mine)
	require.NotErrorIs(t, travel(t, e), other)
}

func TestRegisterErrorRefuses(t *testing.T) {
	other := errors.New("other")
	assert.PanicsWithValue(t, `RegisterError("io.EOF", other): the code already stands for EOF`, func() { ipc.RegisterError("io.EOF", other) })
	for _, wrapping := range []error{fmt.Errorf("more than %w", io.EOF), fs.ErrNotExist, &chameleon{}} {
		assert.Panics(t, func() { ipc.RegisterError("io.EOF", wrapping) }, "%v is not io.EOF", wrapping)
	}
	assert.Panics(t, func() { ipc.RegisterError("", other) })
	assert.Panics(t, func() { ipc.RegisterError("errors_test.nil", nil) })
	require.NotPanics(t, func() { ipc.RegisterError("errors_test.nil", other) }, "a refused one leaves nothing behind, not even a lock")
}

// chameleon is whatever it is compared with.
type chameleon struct{}

func (*chameleon) Error() string { return "chameleon" }
func (*chameleon) Is(error) bool { return true }

// bomb panics when it is compared.
type bomb struct{}

func (bomb) Error() string { return "bomb" }
func (bomb) Is(error) bool { panic("boom") }

func TestAnIsMethodThatPanicsCostsTheCodesAndNothingElse(t *testing.T) {
	err := travel(t, &futures.TaskError{Func: "f", Message: "bomb", Causes: []error{io.EOF, bomb{}}})
	var task *futures.TaskError
	require.ErrorAs(t, err, &task)
	assert.Equal(t, "bomb", task.Message)
	assert.Empty(t, task.Causes)
}

func TestErrorsAreRegisteredWhileOthersTravel(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				mine := errors.New("mine")
				ipc.RegisterError(fmt.Sprintf("errors_test.%d.%d", i, j), mine)
				m, err := ipc.ParseMessage(ipc.AppendFailure(nil, 1, ipc.TaskFailure(&futures.TaskError{Causes: []error{mine}}))[8:])
				var f ipc.Failure
				if !assert.NoError(t, errors.Join(err, ipc.DecodeParam(m.Failure, &f))) {
					return
				}
				assert.ErrorIs(t, f.Err("f"), mine)
			}
		})
	}
	wg.Wait()
}

func TestOversizeIsABreach(t *testing.T) {
	err := &ipc.TooLargeError{Len: 9, Max: 8}
	assert.ErrorIs(t, err, ipc.ErrProtocol)
	assert.NotErrorIs(t, err, io.EOF)
	assert.True(t, strings.Contains(err.Error(), "9") && strings.Contains(err.Error(), "8"))
}
