package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A Failure is how a call that failed travels.
type Failure struct {
	Kind    FailureKind `msgpack:"kind"`
	Type    string      `msgpack:"type,omitempty"`
	Message string      `msgpack:"message,omitempty"`
	Stack   string      `msgpack:"stack,omitempty"`
	Codes   []string    `msgpack:"codes,omitempty"` // sentinels that the error is: see [RegisterError]
}

// A FailureKind says whose failure it is.
type FailureKind string

const (
	FailedTask      FailureKind = "task"      // the function returned an error
	FailedPanic     FailureKind = "panic"     // the function panicked, or left by runtime.Goexit
	FailedArgument  FailureKind = "argument"  // the argument could not be decoded
	FailedResult    FailureKind = "result"    // the result could not be encoded
	FailedFunction  FailureKind = "function"  // the worker has no such function
	FailedWithdrawn FailureKind = "withdrawn" // nobody's: the host withdrew the call, and it was not run
)

// maxText bounds each text of a Failure, and keeps the whole of it far below MaxEnvelope.
const maxText = 64 << 10

// TaskFailure makes the Failure of a function that failed.
func TaskFailure(e *futures.TaskError) Failure {
	f := Failure{Kind: FailedTask, Type: e.Type, Message: e.Message, Stack: e.Stack, Codes: codesOf(e)}
	if e.Panicked {
		f.Kind = FailedPanic
	}
	return f
}

// Err is the failure as the caller of function sees it.
func (f Failure) Err(function string) error {
	message := strings.TrimPrefix(f.Message, futures.ErrNotShareable.Error()+": ") // which is said again here
	switch f.Kind {
	case FailedTask, FailedPanic:
		return &futures.TaskError{Func: function, Type: f.Type, Message: f.Message, Stack: f.Stack, Panicked: f.Kind == FailedPanic, Causes: sentinelsOf(f.Codes)}
	case FailedArgument:
		return fmt.Errorf("%w: the worker cannot decode the argument of %s: %s", futures.ErrNotShareable, function, message)
	case FailedResult:
		return fmt.Errorf("%w: the worker cannot encode the result of %s: %s", futures.ErrNotShareable, function, message)
	case FailedFunction:
		return fmt.Errorf("%w: the worker does not offer %q: %s", futures.ErrNoBody, function, f.Message)
	default:
		return fmt.Errorf("%w: %s failed in a way this host does not know: %q: %s", ErrProtocol, function, f.Kind, f.Message)
	}
}

func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "... (cut)" // a letter may have been cut through
}

// A sentinel is an error with a code under which it travels.
type sentinel struct {
	code string
	err  error
}

// sentinels are sorted by code. The slice is replaced, never changed, since errors.Is runs code of others over it.
var sentinels = struct {
	sync.Mutex
	list []sentinel
}{list: []sentinel{
	{"context.Canceled", context.Canceled},
	{"context.DeadlineExceeded", context.DeadlineExceeded},
	{"errors.ErrUnsupported", errors.ErrUnsupported},
	{"fs.ErrExist", fs.ErrExist},
	{"fs.ErrNotExist", fs.ErrNotExist},
	{"fs.ErrPermission", fs.ErrPermission},
	{"futures.ErrBrokenExecutor", futures.ErrBrokenExecutor},
	{"futures.ErrCancelled", futures.ErrCancelled},
	{"futures.ErrInvalidState", futures.ErrInvalidState},
	{"futures.ErrNoBody", futures.ErrNoBody},
	{"futures.ErrNotShareable", futures.ErrNotShareable},
	{"futures.ErrShutdown", futures.ErrShutdown},
	{"futures.ErrTimeout", futures.ErrTimeout},
	{"interpreters.ErrItemInterpreterDestroyed", ErrItemInterpreterDestroyed},
	{"interpreters.ErrQueueEmpty", ErrQueueEmpty},
	{"interpreters.ErrQueueFull", ErrQueueFull},
	{"interpreters.ErrQueueNotFound", ErrQueueNotFound},
	{"io.EOF", io.EOF},
	{"io.ErrUnexpectedEOF", io.ErrUnexpectedEOF},
}}

func byCode(s sentinel, code string) int { return strings.Compare(s.code, code) }

func knownSentinels() []sentinel {
	sentinels.Lock()
	defer sentinels.Unlock()
	return sentinels.list
}

// RegisterError gives a sentinel a code under which it travels. It panics if either is empty, or if the code is another
// error's already.
func RegisterError(code string, err error) {
	if code == "" || err == nil {
		panic(fmt.Sprintf("RegisterError(%q, %v): the code is empty or the error is nil", code, err))
	}
	sentinels.Lock()
	defer sentinels.Unlock()
	at, taken := slices.BinarySearchFunc(sentinels.list, code, byCode)
	if !taken {
		sentinels.list = slices.Insert(slices.Clone(sentinels.list), at, sentinel{code, err})
		return
	}
	if known := sentinels.list[at].err; !errors.Is(err, known) || !errors.Is(known, err) {
		panic(fmt.Sprintf("RegisterError(%q, %v): the code already stands for %v", code, err, known))
	}
}

// codesOf lists what err is. An Is method that panics makes the list empty and nothing worse.
func codesOf(err error) (codes []string) {
	defer func() {
		if recover() != nil {
			codes = nil
		}
	}()
	for _, s := range knownSentinels() {
		if errors.Is(err, s.err) {
			codes = append(codes, s.code)
		}
	}
	return codes
}

// sentinelsOf finds the errors behind codes. Codes that are not known here are left out.
func sentinelsOf(codes []string) []error {
	list := knownSentinels()
	var errs []error
	for _, code := range codes {
		if at, ok := slices.BinarySearchFunc(list, code, byCode); ok {
			errs = append(errs, list[at].err)
		}
	}
	return errs
}
