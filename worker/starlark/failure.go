package starlark

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/worker/internal/engine"
)

// A raised error is one of the engine's own that has a type as in Python.
type raised struct{ typ, msg string }

func (e *raised) Error() string { return e.msg }

func notDefined(name string) error {
	return &raised{"NameError", fmt.Sprintf("name '%s' is not defined", name)}
}

// failed makes the failure of a script that was compiled. stopped is why the script was stopped, if it was.
func failed(err, stopped error) *engine.Failure {
	cause := err
	var eval *starlark.EvalError
	if errors.As(err, &eval) && eval.Unwrap() != nil {
		cause = eval.Unwrap()
	}
	if stopped != nil {
		cause = stopped
	}
	f := &engine.Failure{Cause: cause}
	f.Type, f.Msg = describe(cause, stopped)
	text := new(strings.Builder)
	if eval != nil {
		writeStack(text, eval.CallStack)
	}
	text.WriteString(formatted(f))
	var task *futures.TaskError
	if errors.As(cause, &task) && task.Stack != "" {
		fmt.Fprintf(text, "\n\n%s", strings.TrimSpace(task.Stack)) // of the panic, in Go
	}
	f.Traceback = text.String()
	return f
}

// kinds are errors that have a type of their own in Python.
var kinds = []struct {
	is  error
	typ string
}{
	{ipc.ErrQueueEmpty, "QueueEmpty"},
	{ipc.ErrQueueFull, "QueueFull"},
	{ipc.ErrItemInterpreterDestroyed, "ItemInterpreterDestroyed"},
	{ipc.ErrQueueNotFound, "QueueNotFoundError"},
	{futures.ErrNotShareable, "NotShareableError"},
}

// describe finds type and message of an error.
func describe(err, stopped error) (typ, msg string) {
	var own *raised
	var task *futures.TaskError
	var waited *interrupted
	switch {
	case errors.As(err, &own):
		return own.typ, own.msg
	case errors.As(err, &task):
		return task.Type, task.Message
	case errors.As(err, &waited), stopped != nil:
		return "Interrupted", err.Error()
	}
	if name, ok := missingName(err); ok {
		return describe(notDefined(name), nil)
	}
	for _, kind := range kinds {
		if errors.Is(err, kind.is) {
			return kind.typ, err.Error()
		}
	}
	return "EvalError", err.Error()
}

// missingName finds the name in what Starlark says of a predeclared name without a value. It has no type for that error.
func missingName(err error) (name string, ok bool) {
	name, ok = strings.CutPrefix(err.Error(), "internal error: predeclared variable ")
	if ok {
		name, ok = strings.CutSuffix(name, " is uninitialized")
	}
	return name, ok
}

func formatted(f *engine.Failure) string {
	if f.Msg == "" {
		return f.Type
	}
	return f.Type + ": " + f.Msg
}

// maxFrames is how many calls a traceback shows: the first half and the last half of them.
const maxFrames = 40

func writeStack(w *strings.Builder, stack starlark.CallStack) {
	w.WriteString("Traceback (most recent call last):\n")
	for i, frame := range stack {
		if left := len(stack) - maxFrames; left > 0 && i >= maxFrames/2 && i < maxFrames/2+left {
			if i == maxFrames/2 {
				fmt.Fprintf(w, "  ... %d more calls ...\n", left)
			}
			continue
		}
		fmt.Fprintf(w, "  %s: in %s\n", frame.Pos, frame.Name)
	}
}

// notCompiled makes the failure of code that is no script.
func notCompiled(err error, code string) *engine.Failure {
	f := &engine.Failure{Type: "SyntaxError", Msg: err.Error(), Cause: err}
	var at syntax.Position
	var parse syntax.Error
	var names resolve.ErrorList
	switch {
	case errors.As(err, &parse):
		f.Msg, at = parse.Msg, parse.Pos
	case errors.As(err, &names) && len(names) > 0:
		f.Msg, at = names[0].Msg, names[0].Pos
	}
	f.Traceback = formatted(f)
	if at.IsValid() {
		f.Traceback = fmt.Sprintf("  %s\n%s%s", at, pointTo(at, code), f.Traceback)
	}
	return f
}

// pointTo shows the place in the code.
func pointTo(at syntax.Position, code string) string {
	lines := strings.Split(code, "\n")
	if int(at.Line) > len(lines) {
		return ""
	}
	line := strings.TrimRight(lines[at.Line-1], "\r")
	var blank strings.Builder
	for i, r := range []rune(line) {
		if i >= int(at.Col)-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		blank.WriteRune(r)
	}
	return fmt.Sprintf("    %s\n    %s^\n", line, blank.String())
}
