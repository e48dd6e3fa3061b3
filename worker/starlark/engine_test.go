package starlark

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.starlark.net/starlark"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/worker"
	"github.com/seed7d1be1d5/concurrent/worker/internal/engine"
)

type (
	pair struct {
		A, B int
		Note string `msgpack:"note"`
	}
	answer struct {
		Sum   int
		Parts []int
		Names map[string]int
		Inner *pair
		At    time.Time
		inner int
	}
)

var errTooBig = errors.New("too big")

func init() { ipc.RegisterError("starlark_test.errTooBig", errTooBig) }

func body[In, Out any](f func(In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(_ context.Context, in In) (Out, error) { return f(in) }
}

var funcs = []futures.Callable{
	futures.NewFunc("add", body(func(p pair) (int, error) { return p.A + p.B, nil })),
	futures.NewFunc("tasks.IsPrime", body(func(n uint64) (bool, error) { return big.NewInt(int64(n)).ProbablyPrime(0), nil })),
	futures.NewFunc("tasks", body(func(struct{}) (string, error) { return "all of them", nil })),
	futures.NewFunc("deep.er.Split", body(func(s string) ([]string, error) { return strings.Fields(s), nil })),
	futures.NewFunc("report", body(func(p pair) (answer, error) {
		return answer{p.A + p.B, []int{p.A, p.B}, map[string]int{"a": p.A}, &p, time.Unix(5, 0).UTC(), 9}, nil
	})),
	futures.NewFunc("echo", body(func(v any) (any, error) { return v, nil })),
	futures.NewFunc("count", body(func(m map[string]int) (int, error) { return len(m), nil })),
	futures.NewFunc("huge", body(func(n *big.Int) (*big.Int, error) { return n.Mul(n, n), nil })),
	futures.NewFunc("refuse", body(func(n int) (int, error) { return 0, fmt.Errorf("refuse %d: %w", n, errTooBig) })),
	futures.NewFunc("crash", body(func(n int) (int, error) { return []int{}[n], nil })),
	futures.NewFunc("channel", body(func(struct{}) (chan int, error) { return make(chan int), nil })),
	futures.NewFunc("wait", func(ctx context.Context, _ struct{}) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }),
	futures.NewFunc("same", body(func(q *worker.Queue) (*worker.Queue, error) { return q, nil })),
}

type script struct {
	*machine
	t   *testing.T
	out *bytes.Buffer
}

func newScript(t *testing.T) script {
	out := new(bytes.Buffer)
	return script{newMachine(funcs, out), t, out}
}

// run is an Exec that goes well.
func (s script) run(code string) {
	s.t.Helper()
	var f *engine.Failure
	if errors.As(s.Exec(s.t.Context(), code), &f) {
		s.t.Fatalf("%s\n%s", code, f.Traceback)
	}
}

// says runs code and compares what it has printed.
func (s script) says(want, code string) {
	s.t.Helper()
	s.out.Reset()
	s.run(code)
	assert.Equal(s.t, want, strings.TrimSuffix(s.out.String(), "\n"), code)
}

func (s script) fails(code string) *engine.Failure {
	s.t.Helper()
	err := s.Exec(s.t.Context(), code)
	var f *engine.Failure
	require.ErrorAs(s.t, err, &f, code)
	return f
}

func TestThePackageIsTheEngine(t *testing.T) {
	e := engine.Registered()(nil)
	assert.NoError(t, e.Exec(t.Context(), "x = 1"))
}

// test_api.py::TestInterpreterExec::test_success (N14)
func TestPrintWritesLines(t *testing.T) {
	newScript(t).says("it worked!\n1 [2] None", `print("it worked!"); print(1, [2], None)`)
}

// test_api.py::TestInterpreterExec::test_bytes_for_script has no counterpart: code is a string.
func TestNamesStay(t *testing.T) {
	s := newScript(t)
	s.run("x = 1")
	s.run("x = x + 1")
	s.run("x += 1; y, (z, w) = 4, [5, 6]")
	s.says("3 4 5 6", "print(x, y, z, w)")
}

func TestTheTopLevelIsAsInPython(t *testing.T) {
	s := newScript(t)
	s.says("0 1 2", `
found = []
for i in range(10):
    if i == 3:
        break
    found.append(str(i))
print(" ".join(found))`)
	s.says("3 8", `
n = 1
while n < 8:
    n *= 2
print(i, n)`)
	s.says("odd", `
if n % 2 == 0:
    def kind(): return "odd"
else:
    def kind(): return "even"
print(kind())`)
	s.says("[(1, 2), (3, 4)] 3", `
for (a, b) in [(1, 2), (3, 4)]:
    pass
for d[k] in [1, 2, 3] if False else []:
    pass
print([(a, b) for a, b in [(1, 2), (3, 4)]], a)`)
	s.says("set([1, 2])", "print(set([1, 2, 1]))")
}

func TestAFunctionSeesWhatNamesAreBoundToNow(t *testing.T) {
	s := newScript(t)
	s.run(`
x = 1
def show(): return x
def later(): return not_yet()
def even(n): return True if n == 0 else odd(n - 1)
def odd(n): return False if n == 0 else even(n - 1)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)`)
	s.says("1 True 55", "print(show(), even(10), fib(10))")
	s.says("2", "x = 2; print(show())")
	s.says("now", "def not_yet(): return 'now'\nprint(later())")
	s.says("then", "def not_yet(): return 'then'\nprint(later())")
	s.says("5 [3, 4]", `
def scope(x, y=3, *rest, **more):
    x = x + y
    def inner(): return x
    return inner()
print(scope(2), (lambda x: [y + x for y in (1, 2)])(2))`)
	s.says("2", "print(x)")
	s.says("<function show>", "print(show)")
}

func TestBuiltinsCanBeShadowed(t *testing.T) {
	s := newScript(t)
	s.says("3 7", "before = len([1, 2, 3])\nlen = 7\nprint(before, len)")
	s.says("7", "print(len)")
	s.says("mine", "def add(**kw): return 'mine'\nprint(add(A=1))")
}

// A name that is bound halfway through a script that fails stays bound, as in Python.
func TestAFailedScriptLeavesTheRestUsable(t *testing.T) {
	s := newScript(t)
	f := s.fails("x = 1\ny = x // 0\nx = 2")
	assert.Equal(t, "EvalError", f.Type)
	s.says("1", "print(x)")
	assert.Equal(t, "NameError", s.fails("print(y)").Type)
}

// test_api.py::TestInterpreterPrepareMain::test_values (N12)
func TestBindBindsAllOrNothing(t *testing.T) {
	s := newScript(t)
	require.NoError(t, s.Bind(map[string]any{
		"n": nil, "b": true, "i": int8(-3), "u": uint64(1 << 63), "f": 1.5, "s": "text", "raw": []byte("bytes"),
		"l": []any{int64(1), "two", []any{}}, "d": map[string]any{"k": "v"}, "m": map[any]any{int64(1): "one"}, "t": time.Unix(0, 0).UTC(),
	}))
	s.says(`None True -3 9223372036854775808 1.5 text b"bytes" [1, "two", []] {"k": "v"} {1: "one"} 1970-01-01 00:00:00 +0000 UTC`,
		"print(n, b, i, u, f, s, repr(raw), l, d, m, t)")
	err := s.Bind(map[string]any{"fine": 1, "i": 4, "wrong": make(chan int)})
	assert.ErrorIs(t, err, futures.ErrNotShareable)
	s.says("-3", "print(i)")
	assert.Equal(t, "NameError", s.fails("fine").Type)
	s.says("[1, 2]", "l.append(2); l.pop(1); l.pop(1); print(l)") // bound values are the script's own
}

func TestFuncsTakeOneArgumentOrItsFields(t *testing.T) {
	s := newScript(t)
	s.says("42 2 3", "print(add(A=40, B=2), add(B=2), add({'A': 1, 'B': 2, 'note': 'x'}))")
	s.says(`True all of them ["a", "b"]`, "print(tasks.IsPrime(1000003), tasks(), deep.er.Split('a b'))")
	s.says("2 0", "print(count(a=1, b=2), count())")
	s.says("1393796574908163946345982392040522594123776", "print(huge(1 << 70))")
	s.says(`{"x": [1, None, 2.5, b"z"], "y": {"deep": True}} [0, 1] [3]`, "print(echo(x=[1, None, 2.5, b'z'], y={'deep': True}), echo(range(2)), echo(set([3])))")
	s.says("{(1, 2): 3}", "print({(1, 2): 3})")
	s.says(`{None: "b", 9: "a", 10: "c"}`, "print(echo({10: 'c', 9: 'a', None: 'b'}))")
	s.says("<built-in function add> <built-in function tasks> <namespace deep>", "print(add, tasks, deep)")
}

func TestStructsComeBackWithAttributes(t *testing.T) {
	s := newScript(t)
	s.run("r = report(A=1, B=2, note='n')")
	s.says(`3 [1, 2] {"a": 1} n 5`, "print(r.Sum, r.Parts, r.Names, r.Inner.note, r.At.unix)")
	s.says("3", "print(add(r.Inner))") // and can be sent on
	s.says("True", "print(r.Inner == report(A=1, B=2, note='n').Inner)")
	assert.Equal(t, "EvalError", s.fails("r.Sum = 4").Type)
	assert.Equal(t, "EvalError", s.fails("r.inner").Type, "not exported")
}

func TestWrongArgumentsAreTypeErrors(t *testing.T) {
	s := newScript(t)
	for code, msg := range map[string]string{
		"add(1, 2)":          "add() takes one argument or keyword arguments (2 and 0 given)",
		"add(1, A=2)":        "add() takes one argument or keyword arguments (1 and 1 given)",
		"add(a=1)":           "add() got an unexpected keyword argument 'a' (it takes A, B, note)",
		"tasks(a=1)":         "tasks() got an unexpected keyword argument 'a' (it takes none)",
		"tasks.IsPrime()":    "tasks.IsPrime() missing its argument, one uint64",
		"tasks.IsPrime(n=1)": "tasks.IsPrime() takes no keyword arguments, but one uint64",
		"echo()":             "echo() missing its argument, one any",
	} {
		f := s.fails(code)
		assert.Equal(t, "TypeError", f.Type, code)
		assert.Equal(t, msg, f.Msg)
	}
	for _, code := range []string{
		"add('text')", "add(A='text')", "tasks.IsPrime(1.5)", "echo(add)", "echo([lambda: 1])", "echo({(1,): 2})", "channel()",
		"x = []; x.append(x); echo(x)", "x = {}; x[1] = x; echo(x)", "tasks.IsPrime(1 << 70)",
	} {
		f := s.fails(code)
		assert.Equal(t, "NotShareableError", f.Type, code)
		assert.ErrorIs(t, f, futures.ErrNotShareable, code)
	}
}

// test_api.py::TestInterpreterExec::test_failure, test_display_preserved_exception (N15, N16)
func TestTracebacks(t *testing.T) {
	s := newScript(t)
	s.run("def outer(n):\n    return inner_(n)\n\ndef inner_(n):\n    return refuse(n)\n")
	f := s.fails("\nouter(3)")
	assert.Equal(t, "*fmt.wrapError", f.Type)
	assert.Equal(t, "refuse 3: too big", f.Msg)
	assert.ErrorIs(t, f, errTooBig)
	assert.Equal(t, `Traceback (most recent call last):
  <exec>:2:6: in <toplevel>
  <exec>:2:18: in outer
  <exec>:5:18: in inner_
  <builtin>: in refuse
*fmt.wrapError: refuse 3: too big`, f.Traceback)
}

func TestAPanicShowsBothStacks(t *testing.T) {
	f := newScript(t).fails("crash(5)")
	assert.Equal(t, "runtime.boundsError", f.Type)
	assert.Contains(t, f.Msg, "index out of range [5]")
	assert.Contains(t, f.Traceback, "  <exec>:1:6: in <toplevel>\n  <builtin>: in crash\nruntime.boundsError: ")
	assert.Contains(t, f.Traceback, "engine_test.go:")
	var task *futures.TaskError
	require.ErrorAs(t, f, &task)
	assert.True(t, task.Panicked)
}

func TestSyntaxErrors(t *testing.T) {
	s := newScript(t)
	f := s.fails("x = 1\nif x:\n\ty = = 2")
	assert.Equal(t, "SyntaxError", f.Type)
	assert.Equal(t, "got '=', want primary expression", f.Msg)
	assert.Equal(t, "  <exec>:3:6\n    \ty = = 2\n    \t    ^\nSyntaxError: got '=', want primary expression", f.Traceback)
	assert.Equal(t, "NameError", s.fails("x").Type, "nothing was run")
	for _, code := range []string{"return 1", "break", "def f(a, a): pass", "1 = 2", "f() = 3", "x, y += 1", "'open", "(", "\x00"} {
		assert.Equal(t, "SyntaxError", s.fails(code).Type, code)
	}
}

func TestErrorsHaveTypes(t *testing.T) {
	s := newScript(t)
	for code, want := range map[string]string{
		"missing":                      "NameError: name 'missing' is not defined",
		"missing += 1":                 "NameError: name 'missing' is not defined",
		"def f(): return missing\nf()": "NameError: name 'missing' is not defined",
		"fail('spam', 1, ['eggs'])":    `Fail: spam 1 ["eggs"]`,
		"fail()":                       "Fail",
		"1 // 0":                       "EvalError: floored division by zero",
		"'a' + 1":                      "EvalError: unknown binary op: string + int",
		"{}['k']":                      `EvalError: key "k" not in dict`,
		"None.x":                       "EvalError: NoneType has no .x field or method",
		"load('other', 'x')":           "EvalError: load not implemented by this application",
		"def f(): f()\nf()":            "RecursionError: maximum recursion depth exceeded",
		"def f(): sorted([1], key=g)\ndef g(x): f()\nf()": "RecursionError: maximum recursion depth exceeded",
		"def f(x=missing): pass":                          "NameError: name 'missing' is not defined",
	} {
		f := s.fails(code)
		assert.Equal(t, want, formatted(f), code)
		assert.True(t, strings.HasSuffix(f.Traceback, "\n"+want), f.Traceback)
	}
	s.says("fine", "print('fine')")
}

func TestALongTracebackIsCut(t *testing.T) {
	f := newScript(t).fails("def f(n):\n    f(n + 1)\nf(0)")
	lines := strings.Split(f.Traceback, "\n")
	assert.Len(t, lines, 1+maxFrames+1+1)
	assert.Regexp(t, `^  \.\.\. \d+ more calls \.\.\.$`, lines[1+maxFrames/2])
}

func TestACallMayNestAsDeepAsInPython(t *testing.T) {
	newScript(t).says("990", "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)\nprint(depth(990))")
}

// An endless script is stopped, and the interpreter can be used again.
func TestACtxStopsAScript(t *testing.T) {
	why := errors.New("time for something else")
	for name, code := range map[string]string{
		"while":         "n = 0\nstarted()\nwhile True:\n    n += 1",
		"for":           "started()\nfor i in range(1 << 40):\n    n = i",
		"function":      "def f():\n    while True: pass\nstarted()\nf()",
		"comprehension": "started()\n[0 for i in range(1 << 40) if i < 0]",
		"callback":      "def key(x):\n    while True: pass\nstarted()\nsorted([2, 1], key=key)",
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := newScript(t)
		s.names["started"] = starlark.NewBuiltin("started", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
			cancel(why)
			return starlark.None, nil
		})
		err := s.Exec(ctx, code)
		var f *engine.Failure
		require.ErrorAs(t, err, &f, name)
		assert.ErrorIs(t, err, why)
		assert.Equal(t, "Interrupted: time for something else", formatted(f))
		assert.Contains(t, f.Traceback, "in <toplevel>\n")
		s.says("fine", "print('fine')")
		if name == "while" {
			n, _ := starlark.AsInt32(s.names["n"])
			assert.Less(t, n, stepsBetweenLooks, "it was stopped within the bound")
		}
	}
}

func TestACtxThatIsDoneRunsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newScript(t)
	err := s.Exec(ctx, "x = 1")
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, "NameError", s.fails("x").Type)
}

func TestAFuncGetsTheCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, newScript(t).Exec(ctx, "wait()"), context.DeadlineExceeded)
	})
}

func withQueue(t *testing.T, maxsize int) (script, *interpreters.Queue) {
	s := newScript(t)
	q := interpreters.CreateQueue(maxsize)
	t.Cleanup(func() { _ = q.Close() }) // the test may have closed it
	require.NoError(t, s.Bind(map[string]any{"q": worker.QueueOf(q)}))
	return s, q
}

func TestAScriptUsesQueues(t *testing.T) {
	s, q := withQueue(t, 2)
	s.says(fmt.Sprintf("%v %d 2 True False 0", q, q.ID()), "print(q, q.id, q.maxsize, q.empty(), q.full(), q.qsize())")
	s.run("q.put({'k': [1, None]}); q.put_nowait('two')")
	s.says("False True 2", "print(q.empty(), q.full(), q.qsize())")
	v, err := interpreters.GetAs[map[string]any](t.Context(), q)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"k": []any{int8(1), nil}}, v)
	s.says("two", "print(q.get_nowait())")
	require.NoError(t, q.PutNoWait(pair{1, 2, "n"}))
	s.says(`{"A": 1, "B": 2, "note": "n"}`, "print(q.get())")
	for code, typ := range map[string]string{
		"q.get_nowait()": "QueueEmpty", "q.get(block=False)": "QueueEmpty", "q.get(timeout=0)": "QueueEmpty", "q.get(True, 0.001)": "QueueEmpty",
		"q.put(1); q.put(2); q.put_nowait(3)": "QueueFull", "q.put(3, timeout=0.001)": "QueueFull", "q.put(3, block=False)": "QueueFull",
		"q.put(add)": "NotShareableError", "q.get(timeout=-1)": "ValueError", "q.get(timeout='1')": "TypeError", "q < q": "TypeError",
		"q.nothing": "EvalError", "q.qsize(1)": "EvalError",
	} {
		if strings.HasPrefix(code, "q.put(3") {
			s.run("[q.get_nowait() for i in range(q.qsize())]; q.put(1); q.put(2)")
		} else {
			s.run("[q.get_nowait() for i in range(q.qsize())]")
		}
		f := s.fails(code)
		assert.Equal(t, typ, f.Type, "%s: %s", code, f.Traceback)
	}
	require.NoError(t, q.Close())
	f := s.fails("q.get()")
	assert.Equal(t, "QueueNotFoundError", f.Type)
	assert.ErrorIs(t, f, interpreters.ErrQueueNotFound)
}

func TestQueuesTravelThroughScripts(t *testing.T) {
	s, q := withQueue(t, 0)
	other := interpreters.CreateQueue(0)
	defer other.Close()
	require.NoError(t, s.Bind(map[string]any{"o": worker.QueueOf(other)}))
	s.says("True False True", "print(same(q) == q, o == q, o != q)")
	s.run("q.put({'other': o}); d = {o: 1, q: 2}")
	back, err := interpreters.GetAs[map[string]*interpreters.Queue](t.Context(), q)
	require.NoError(t, err)
	assert.Same(t, other, back["other"])
	s.says(other.String()+" 1", "print(o, d[same(o)])")
}

func TestAScriptWaitsForAnItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, q := withQueue(t, 0)
		done := make(chan error)
		go func() { done <- s.Exec(t.Context(), "print('got', q.get())") }()
		synctest.Wait()
		require.NoError(t, q.Put(t.Context(), "it"))
		require.NoError(t, <-done)
		assert.Equal(t, "got it\n", s.out.String())
	})
}

func TestACtxStopsAWaitAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, q := withQueue(t, 0)
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() { done <- s.Exec(ctx, "q.get(timeout=60)") }()
		synctest.Wait()
		cancel(why)
		err := <-done
		var f *engine.Failure
		require.ErrorAs(t, err, &f)
		assert.ErrorIs(t, err, why)
		assert.Equal(t, "Interrupted", f.Type)
		require.NoError(t, q.PutNoWait("kept"))
		s.says("kept", "print(q.get())")
	})
}

func TestTimeoutsAreNotCutToSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := withQueue(t, 0)
		start := time.Now()
		assert.Equal(t, "QueueEmpty", s.fails("q.get(timeout=1.9)").Type)
		assert.Equal(t, 1900*time.Millisecond, time.Since(start))
	})
}

func TestAnUnboundItemIsUNBOUND(t *testing.T) {
	s := newScript(t)
	require.NoError(t, s.Bind(map[string]any{"item": worker.Unbound}))
	s.says("UNBOUND True False", "print(item, item == UNBOUND, 1 == UNBOUND)")
}
