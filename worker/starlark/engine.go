package starlark

import (
	"context"
	"fmt"
	"io"
	"os"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
	"github.com/seed7d1be1d5/concurrent/worker/internal/engine"
)

func init() {
	engine.Register(func(funcs []futures.Callable) engine.Engine { return newMachine(funcs, os.Stdout) })
}

// A machine is the main namespace of an interpreter, and runs code in it.
type machine struct {
	names starlark.StringDict // see toplevel
	out   io.Writer           // of print
}

func newMachine(funcs []futures.Callable, out io.Writer) *machine {
	m := &machine{names: offer(funcs), out: out}
	m.names["fail"] = starlark.NewBuiltin("fail", fail)
	m.names["UNBOUND"] = unbound{}
	m.names[mainName] = mainNamespace{m.names}
	return m
}

const (
	fileName = "<exec>"

	// stepsBetweenLooks is how many steps a script may go on for after its ctx is done. A look costs less than a hundredth of them.
	stepsBetweenLooks = 1000

	// maxCalls is how deep calls may nest, give or take what fits between two looks. It is Python's number.
	maxCalls = 1000
)

var options = &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, GlobalReassign: true, Recursion: true}

// Bind binds names to copies of values, all or none.
func (m *machine) Bind(values map[string]any) error {
	bound := make(starlark.StringDict, len(values))
	for name, v := range values {
		var err error
		if bound[name], err = fromGo(v); err != nil {
			return fmt.Errorf("bind %q: %w", name, err)
		}
	}
	for name, v := range bound {
		m.names[name] = v
	}
	return nil
}

// Exec runs code. ctx bounds it, and is the ctx of the Funcs that it calls.
func (m *machine) Exec(ctx context.Context, code string) error {
	program, err := m.compile(code)
	if err != nil {
		return notCompiled(err, code)
	}
	if err := worker.Checkpoint(ctx); err != nil {
		return failed(err, err)
	}
	var stopped error
	thread := &starlark.Thread{
		Name:  "main",
		Print: func(_ *starlark.Thread, line string) { _, _ = fmt.Fprintln(m.out, line) }, // as Python, print fails for nobody else
	}
	thread.OnMaxSteps = func(*starlark.Thread) {
		thread.SetMaxExecutionSteps(thread.ExecutionSteps() + stepsBetweenLooks)
		if stopped == nil {
			if stopped = worker.Checkpoint(ctx); stopped == nil && thread.CallStackDepth() > maxCalls {
				stopped = &raised{"RecursionError", "maximum recursion depth exceeded"}
			}
		}
		if stopped != nil {
			thread.Cancel(stopped.Error())
		}
	}
	thread.SetMaxExecutionSteps(stepsBetweenLooks)
	thread.SetLocal(ctxKey, ctx)
	if _, err := program.Init(thread, m.names); err != nil {
		return failed(err, stopped)
	}
	return nil
}

// ctxKey is where a thread has the ctx of Exec.
const ctxKey = "ctx"

func ctxOf(thread *starlark.Thread) context.Context {
	return thread.Local(ctxKey).(context.Context)
}

// fail ends the script.
func fail(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	sep := " "
	if err := starlark.UnpackArgs("fail", nil, kwargs, "sep?", &sep); err != nil {
		return nil, err
	}
	var msg string
	for i, arg := range args {
		if i > 0 {
			msg += sep
		}
		if s, ok := starlark.AsString(arg); ok {
			msg += s
		} else {
			msg += arg.String()
		}
	}
	return nil, &raised{"Fail", msg}
}
