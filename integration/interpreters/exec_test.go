package interpreters_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// The names in parentheses are those of CPython's Lib/test/test_interpreters/test_api.py.

func failedIn(t *testing.T, err error) interpreters.Excinfo {
	t.Helper()
	var failed *interpreters.ExecutionFailed
	require.ErrorAs(t, err, &failed)
	return failed.Excinfo
}

// TestInterpreterExec.test_success, test_in_thread (N14)
func TestExecRunsAScriptAndKeepsItsNames(t *testing.T) {
	var out bytes.Buffer
	ip := createWith(t, scripted(t), interpreters.Config{Stdout: &out})
	require.NoError(t, ip.Exec(within(t), "x = tasks.Add(A=40, B=1)\ndef more(): return x + 1"))
	require.NoError(t, ip.Exec(within(t), "x = more()"))
	require.NoError(t, ip.Exec(within(t), "print(x, tasks.IsPrime(1000003), [tasks.Count() for i in range(3)])"))
	assert.Equal(t, "42 True [1, 2, 3]\n", out.String())
	n, err := interpreters.Call(within(t), ip, tasks.Count, struct{}{})
	require.NoError(t, err)
	assert.Equal(t, 4, n, "the functions are the same that Call calls")

	other := createWith(t, scripted(t), interpreters.Config{})
	assert.Equal(t, "NameError: name 'x' is not defined", failedIn(t, other.Exec(within(t), "print(x)")).Formatted)
}

// TestInterpreterExec.test_failure, test_display_preserved_exception, test_bad_script (N15, N16)
func TestAScriptThatFailsLeavesItsInterpreterUsable(t *testing.T) {
	ip := createWith(t, scripted(t), interpreters.Config{Stdout: io.Discard})
	for code, want := range map[string]string{
		"fail('spam')":                    "Fail: spam",
		"if:":                             "SyntaxError: got ':', want primary expression",
		"x = 1 // 0":                      "EvalError: floored division by zero",
		"tasks.Add(C=1)":                  "TypeError: tasks.Add() got an unexpected keyword argument 'C' (it takes A, B)",
		"def f(): return f()\nf()":        "RecursionError: maximum recursion depth exceeded",
		"def f(): g()\ndef g(): h()\nf()": "NameError: name 'h' is not defined",
	} {
		info := failedIn(t, ip.Exec(within(t), code))
		assert.Equal(t, want, info.Formatted)
		assert.Equal(t, want, info.Type+": "+info.Msg)
		assert.Contains(t, info.ErrDisplay, "<exec>:", code)
	}
	info := failedIn(t, ip.Exec(within(t), "def f():\n    g()\ndef g():\n    fail('deep')\nf()"))
	assert.Equal(t, `Traceback (most recent call last):
  <exec>:5:2: in <toplevel>
  <exec>:2:6: in f
  <exec>:4:9: in g
  <builtin>: in fail
Fail: deep`, info.ErrDisplay)
	require.NoError(t, ip.Exec(within(t), "x = 1"))
}

func TestTheErrorOfAFuncKeepsItsIdentityThroughAScript(t *testing.T) {
	ip := createWith(t, scripted(t), interpreters.Config{})
	err := ip.Exec(within(t), "tasks.Fail()")
	assert.ErrorIs(t, err, tasks.ErrKnown)
	assert.Contains(t, failedIn(t, err).ErrDisplay, "<builtin>: in tasks.Fail\n")
}

// TestInterpreterPrepareMain.test_dict, LowLevelTests.test_set___main___attrs (N12)
func TestScriptsSeeWhatPrepareMainHasBound(t *testing.T) {
	var out bytes.Buffer
	ip := createWith(t, scripted(t), interpreters.Config{Stdout: &out})
	require.Error(t, ip.Exec(within(t), "spam"))
	require.NoError(t, ip.PrepareMain(within(t), map[string]any{"spam": "eggs", "ham": 42, "pair": tasks.Pair{A: 1, B: 2}}))
	require.NoError(t, ip.Exec(within(t), "print(spam, ham, tasks.Add(pair))"))
	assert.Equal(t, "eggs 42 3\n", out.String())
	assert.ErrorIs(t, ip.PrepareMain(within(t), map[string]any{"ham": 1, "not": make(chan int)}), futures.ErrNotShareable)
	require.NoError(t, ip.Exec(within(t), "ham == 42 or fail(ham)"))
}

// An endless script ends with its ctx, and its interpreter is as good as new.
func TestAnEndlessScriptIsStoppedInTime(t *testing.T) {
	started, hear := io.Pipe()
	defer started.Close()
	ip := createWith(t, scripted(t), interpreters.Config{Stdout: hear})
	ctx, cancel := context.WithCancelCause(within(t))
	why := errors.New("enough")
	done := make(chan error)
	go func() { done <- ip.Exec(ctx, "n = 0\nprint('started')\nwhile True:\n    n += 1") }()
	line := make([]byte, len("started\n"))
	_, err := io.ReadFull(started, line)
	require.NoError(t, err)
	cancel(why)
	err = <-done
	require.Error(t, err)
	var died *interpreters.Died
	assert.NotErrorAs(t, err, &died)
	assert.ErrorIs(t, err, context.Canceled)
	require.NoError(t, ip.Exec(within(t), "n > 0 or fail()"))
}

// Go's runtime has more than one way to say that it was refused memory.
func TestAScriptThatEatsMemoryDiesOfIt(t *testing.T) {
	err := createWith(t, scripted(t), interpreters.Config{MemoryLimit: 64 << 20}).Exec(within(t), "tasks.Add(A=range(1 << 40))")
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.Equal(t, interpreters.OutOfMemory, died.Reason, "%v", err)
}

func BenchmarkExecOfNothing(b *testing.B) {
	ip := createWith(b, scripted(b), interpreters.Config{})
	for b.Loop() {
		require.NoError(b, ip.Exec(context.Background(), "pass"))
	}
}

func BenchmarkAScriptCallsAFunc(b *testing.B) {
	ip := createWith(b, scripted(b), interpreters.Config{})
	require.NoError(b, ip.Exec(context.Background(), "def run(n):\n    for i in range(n): tasks.Add(A=i, B=1)"))
	b.ResetTimer()
	require.NoError(b, ip.Exec(context.Background(), fmt.Sprintf("run(%d)", b.N)))
}
