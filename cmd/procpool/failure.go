package main

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A failure is the "error" of an output line. Its fields are described in the help of map.
type failure struct {
	Kind     kind   `json:"kind"`
	Message  string `json:"message"`
	Type     string `json:"type,omitempty"`
	Stack    string `json:"stack,omitempty"`
	PID      int    `json:"pid,omitempty"`
	ExitCode *int   `json:"exit_code,omitempty"`
	Signal   int    `json:"signal,omitempty"`
}

// kind says whose failure it is.
type kind string

const (
	badInput  kind = "input"   // the line
	badValue  kind = "value"   // an argument or a result that cannot travel
	badTask   kind = "task"    // the function returned an error
	panicked  kind = "panic"   // the function panicked
	timedOut  kind = "timeout" // the call took longer than -timeout
	crashed   kind = "crash"   // the worker was lost
	broken    kind = "broken"  // the pool was broken
	notDone   kind = ""        // nobody: the call was called off before it ran, or with its worker
	otherwise kind = "other"
)

// failureOf sorts the error of a call.
func failureOf(err error) failure {
	f := failure{Kind: otherwise, Message: err.Error()}
	var task *futures.TaskError
	var crash *procpool.WorkerCrashError
	if errors.As(err, &crash) {
		f.PID = crash.PID
		if f.Signal = int(crash.Signal); crash.Signal == 0 && crash.ExitCode >= 0 {
			f.ExitCode = &crash.ExitCode
		}
	}
	if errors.As(err, &task) {
		f.Type, f.Stack, f.Message = task.Type, task.Stack, task.Message
	}
	switch {
	case errors.Is(err, futures.ErrTimeout):
		f.Kind = timedOut
		if task != nil { // it listened to its ctx, and says what that told it
			f.Message = "the call took longer than its timeout: " + task.Message
		}
	case task != nil && task.Panicked:
		f.Kind = panicked
	case task != nil:
		f.Kind = badTask
	case errors.Is(err, futures.ErrBrokenExecutor):
		f.Kind = broken
	case crash != nil:
		f.Kind = crashed
	case errors.Is(err, futures.ErrCancelled), errors.Is(err, futures.ErrShutdown):
		f.Kind = notDone
	case errors.Is(err, futures.ErrNotShareable), errors.Is(err, futures.ErrNoBody):
		f.Kind = badValue
	}
	return f
}

// group names the failures that a reader of the closing table takes for the same.
func (f failure) group() string {
	switch {
	case f.Kind == badTask || f.Kind == panicked:
		return fmt.Sprintf("%s (%s)", f.Kind, brief(f.Type))
	case f.Signal != 0:
		return fmt.Sprintf("%s (%v)", f.Kind, syscall.Signal(f.Signal))
	case f.ExitCode != nil:
		return fmt.Sprintf("%s (exit code %d)", f.Kind, *f.ExitCode)
	default:
		return string(f.Kind)
	}
}

// appendFailure appends the output line of an item that failed.
func appendFailure(dst *bytes.Buffer, index int, f failure) error {
	fmt.Fprintf(dst, `{"index":%d,"error":`, index)
	if err := encode(dst, f); err != nil {
		return err // cannot be: its fields are strings and numbers
	}
	dst.WriteString("}\n")
	return nil
}
