package interpreters

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed7d1be1d5/concurrent/futures"
)

var (
	// ErrInterpreter is matched by every error of this package that is about an interpreter (row N24).
	ErrInterpreter = errors.New("interpreters: interpreter error")

	// ErrNotFound is the error of everything that is asked of an interpreter that was closed or never was.
	ErrNotFound = fmt.Errorf("%w: interpreter not found", ErrInterpreter)

	// ErrRunning is the error of what cannot be done while code runs in the interpreter (rows N10, N12, N14). The main interpreter always runs.
	ErrRunning = fmt.Errorf("%w: interpreter already running", ErrInterpreter)

	// ErrUnrecognized is the error of what can be done only with an interpreter that [Create] has made (row N11).
	ErrUnrecognized = fmt.Errorf("%w: unrecognized interpreter", ErrInterpreter)

	// ErrImage is the error of a module that cannot be loaded, or is no guest.
	ErrImage = errors.New("interpreters: image")

	// ErrSlowPlatform is the error of [Load] on a system for which guests cannot be compiled. Interpreting them is 46 to 1000 times slower
	// than native code: see ImageConfig.OnSlowPlatform.
	ErrSlowPlatform = errors.New("interpreters: guests cannot be compiled for this platform")

	// ErrNoEngine is the error of [Interpreter.Exec] in a guest whose main imports no script engine.
	ErrNoEngine = fmt.Errorf("%w: the guest has no script engine", ErrInterpreter)

	// ErrOutOfFuel is the cause of the end of an interpreter that has used up Config.Fuel.
	ErrOutOfFuel = errors.New("interpreters: out of fuel")
)

// An ExecutionFailed says that what ran in an interpreter has failed (rows N15 to N18): the function returned an error or panicked, or the script
// did something wrong. The interpreter goes on. It matches ErrInterpreter, and the sentinels that both sides have registered
// (worker.RegisterError); errors.As finds a [futures.TaskError].
type ExecutionFailed struct {
	Excinfo Excinfo
	task    *futures.TaskError
}

// Excinfo is what is left of a failure outside of its interpreter: texts.
type Excinfo struct {
	Type       string // of the error or the panic's value, as %T prints it there
	Msg        string // its text
	Formatted  string // "Type: Msg"
	ErrDisplay string // for a human: with the traceback of the guest, if there is one
}

func executionFailed(task *futures.TaskError) *ExecutionFailed {
	info := Excinfo{Type: task.Type, Msg: task.Message, Formatted: task.Type + ": " + task.Message}
	info.ErrDisplay = info.Formatted
	if task.Panicked {
		info.ErrDisplay = "panic: " + task.Message
	}
	switch {
	case strings.Contains(task.Stack, info.Formatted): // that of a script says it itself
		info.ErrDisplay = task.Stack
	case task.Stack != "":
		info.ErrDisplay += "\n\n" + task.Stack
	}
	return &ExecutionFailed{info, task}
}

func (e *ExecutionFailed) Error() string {
	return e.Excinfo.Formatted + "\n\nUncaught in the interpreter:\n\n" + e.Excinfo.ErrDisplay
}

// Unwrap lets errors.Is and errors.As see ErrInterpreter and the failure of the function.
func (e *ExecutionFailed) Unwrap() []error { return []error{ErrInterpreter, e.task} }
