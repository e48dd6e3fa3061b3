package procpool

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/internal/harmless"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// ErrBrokenProcessPool is matched by every error of a pool that is broken: those of the calls that were unfinished, and
// those of calls submitted later. It is a [futures.ErrBrokenExecutor].
var ErrBrokenProcessPool = fmt.Errorf("%w: procpool", futures.ErrBrokenExecutor)

// errOutOfTurn is why a worker was killed that claims several calls at once.
var errOutOfTurn = fmt.Errorf("%w: a call was started before the one in front of it was over", ipc.ErrProtocol)

var errStuck = errors.New("one worker after the other did not start the calls it was given")

var errUndead = errors.New("it does not end of SIGKILL, as in a system call that nothing interrupts or a frozen cgroup: see what it waits for (/proc/PID/stack)")

var errTerminated = errors.New("the workers of the pool were terminated")

// A WorkerCrashError says that a call was lost with its worker: the process ended when nobody had asked it to, or it was
// killed because a call did not listen to its ctx. Every call has a WorkerCrashError of its own; all of one crash tell the
// same evidence.
//
// It matches [ErrBrokenProcessPool] if the crash broke the pool. For a worker that was killed because of a call's ctx or
// timeout, it matches that reason, as in errors.Is(err, [futures.ErrTimeout]).
type WorkerCrashError struct {
	PID      int
	ExitCode int            // -1 if a signal ended the process
	Signal   syscall.Signal // 0 if the process exited by itself; SIGQUIT if the host ended it over a call, and learned what it was doing
	OOM      OOM            // whether the kernel has killed it for memory
	Func     string         // the Func that was running, or empty if none was; not always the one of the call that got this error
	Attempt  int            // which attempt of that call it was, from 1
	MaxRSS   int64          // the largest memory the process had resident, in bytes; 0 if the system does not tell
	CPU      time.Duration  // user and system time that the process used
	Stderr   string         // the end of what the process wrote to standard error
	// Goroutines is what the Go runtime in the worker wrote as it died: why, and stacks, as far as they fit in 256 KiB, or in
	// Limits.FileSize if that is less. Of a worker that the host has ended because it did not end a call they are those of all
	// goroutines, but that on a busy machine one that runs may be without: the runtime gives it a few milliseconds to stop. Of one that
	// died by itself there is that of the goroutine that failed, or of all if Config.Env has GOTRACEBACK=all. It is empty if the worker did
	// not die by the runtime's doing: it exited, was killed, or is not written in Go.
	Goroutines string
	Cause      error // why the host killed the worker, or how it broke the protocol; nil if it ended by itself

	broke bool
}

// Error fits two lines; Stderr has the rest.
func (e *WorkerCrashError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "procpool: worker %d %s", e.PID, e.fate())
	if e.Func != "" {
		fmt.Fprintf(&b, " while it ran %s", e.Func)
		if e.Attempt > 1 {
			fmt.Fprintf(&b, " (attempt %d)", e.Attempt)
		}
	} else {
		b.WriteString(" while it ran no call")
	}
	if e.OOM == OOMKilled {
		b.WriteString(", out of memory")
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	if e.broke {
		b.WriteString("; the pool is broken")
	}
	if e.Signal == syscall.SIGQUIT && e.Goroutines != "" {
		b.WriteString("\nwhat it was doing: see Goroutines")
	} else if line := lastWords(e.Stderr, e.Goroutines); line != "" {
		fmt.Fprintf(&b, "\nlast words: %s", line)
	}
	return b.String()
}

func (e *WorkerCrashError) fate() string {
	if e.Signal != 0 {
		return fmt.Sprintf("was ended by signal %d (%v)", int(e.Signal), e.Signal)
	}
	if e.ExitCode < 0 {
		return "is still there"
	}
	return fmt.Sprintf("exited with code %d", e.ExitCode)
}

// Is makes the crash that broke a pool an ErrBrokenProcessPool.
func (e *WorkerCrashError) Is(target error) bool {
	return e.broke && (target == ErrBrokenProcessPool || target == futures.ErrBrokenExecutor)
}

// Unwrap gives the Cause.
func (e *WorkerCrashError) Unwrap() error { return e.Cause }

// mostSaid is how much an error quotes of what a worker says of itself, or of why it was not started.
const mostSaid = 500

// lastWords is the line of what a worker has said last that says most: the head of a Go crash, of which a long dump leaves nothing in stderr,
// or else the last line.
func lastWords(stderr, dump string) string {
	const most = 200
	for _, text := range [...]string{stderr, dump} {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "runtime: goroutine stack exceeds") ||
				strings.HasPrefix(line, "SIG") && strings.Contains(line, ": ") {
				return harmless.Line(line, most)
			}
		}
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	return harmless.Line(lines[len(lines)-1], most)
}

// A StartError says that a worker could not be started, or that it did not shake hands. The pool is broken then, unless
// other workers are left; with [ReplaceWorker] also not if workers of the same command have worked before.
type StartError struct {
	Command string // what was to be started
	Reason  string // what went wrong, and what a human should check
	Stderr  string // the end of what the process wrote to standard error
	Err     error  // the underlying error, if any
}

func (e *StartError) Error() string {
	s := fmt.Sprintf("procpool: start worker %s: %s", e.Command, e.Reason)
	if e.Err != nil {
		s += ": " + harmless.Line(e.Err.Error(), mostSaid) // it may quote the worker
	}
	if line := lastWords(e.Stderr, ""); line != "" {
		s += "\nlast words: " + line
	}
	return s
}

// Unwrap gives the underlying error.
func (e *StartError) Unwrap() error { return e.Err }

// An InitializerError says that the initializer failed in a worker. The pool is broken.
type InitializerError struct {
	Func   string // the initializer
	PID    int    // of the worker
	Stderr string // the end of what the worker wrote to standard error
	Err    error  // the function's *futures.TaskError, or how the worker was lost meanwhile: a *WorkerCrashError if it ended by itself or took longer than StartTimeout
}

func (e *InitializerError) Error() string {
	return fmt.Sprintf("procpool: the initializer failed in worker %d, the pool is not usable any more: %v", e.PID, e.Err)
}

// Unwrap gives the function's failure.
func (e *InitializerError) Unwrap() error { return e.Err }

// ending is how a worker's process ended.
type ending struct {
	pid    int
	state  *os.ProcessState
	undead bool // it has not ended, even of SIGKILL
	asked  bool // by SIGQUIT
	stderr string
	dump   string
	oom    OOM
	cause  error // how it broke the protocol, if it did
}

// exitOfQuit is how a Go program ends of SIGQUIT.
const exitOfQuit = 2

// crash makes one call's error of the ending. t is the call that was running, if any.
func (e ending) crash(t *task, cause error, broke bool) *WorkerCrashError {
	if cause == nil {
		cause = e.cause
	}
	switch {
	case e.undead && cause != nil:
		cause = fmt.Errorf("%w; %w", cause, errUndead)
	case e.undead:
		cause = errUndead
	}
	c := &WorkerCrashError{PID: e.pid, ExitCode: -1, OOM: e.oom, Stderr: e.stderr, Goroutines: e.dump, Cause: cause, broke: broke}
	if t != nil {
		c.Func, c.Attempt = t.fn.name, int(t.attempt)
	}
	if e.state != nil {
		c.ExitCode = e.state.ExitCode()
		c.Signal = signalOf(e.state)
		if e.asked && c.ExitCode == exitOfQuit {
			c.ExitCode, c.Signal = -1, syscall.SIGQUIT
		}
		c.CPU = e.state.UserTime() + e.state.SystemTime()
		c.MaxRSS = maxRSS(e.state)
	}
	return c
}
