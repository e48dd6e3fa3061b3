package interpreters

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/sys"
)

// A Reason says how an interpreter came to its end.
type Reason int

const (
	Exit          Reason = iota + 1 // it exited: os.Exit
	Panic                           // a panic that nobody recovered, in any goroutine, or another fatal error of Go's runtime
	OutOfMemory                     // it wanted more than Config.MemoryLimit
	StackOverflow                   // runaway recursion
	Deadlock                        // every goroutine waited, and nothing could wake one
	Interrupted                     // the host stopped it: a ctx that it did not listen to, Kill, or no fuel
	Trap                            // it did what WebAssembly forbids, or broke what host and guests have agreed upon
)

func (r Reason) String() string {
	names := [...]string{"", "exit", "panic", "out of memory", "stack overflow", "deadlock", "interrupted", "trap"}
	if r > 0 && int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("Reason(%d)", int(r))
}

// Died is the end of an interpreter during a call. The call that ended it has it as its error, and so has every later one: create another. It matches
// ErrInterpreter and, if the host stopped it, the cause: that of the ctx, or the one given to Kill.
type Died struct {
	ID       int64  // of the interpreter
	Reason   Reason //
	ExitCode int    // of Exit; 2 where Go's runtime has exited
	Stderr   string // the end of what it wrote to its standard error: at most 64 KiB

	cause error
}

func (d *Died) Error() string {
	text := fmt.Sprintf("interpreters: interpreter %d died: %v", d.ID, d.Reason)
	switch {
	case d.Reason == Exit:
		text += fmt.Sprintf(" with status %d", d.ExitCode)
	case d.cause != nil:
		text += ": " + d.cause.Error()
	}
	if line := fatalLine(d.Stderr); line != "" {
		text += ": " + line
	}
	return text
}

// Unwrap lets errors.Is see ErrInterpreter and the cause.
func (d *Died) Unwrap() []error {
	if d.cause == nil {
		return []error{ErrInterpreter}
	}
	return []error{ErrInterpreter, d.cause}
}

var errDeadlock = errors.New("every goroutine waits, and nothing can wake one")

// outOfMemory is what Go's runtime says when it was refused memory. The last is an accident: it takes what it has reserved before for new.
var outOfMemory = []string{"out of memory", "cannot allocate memory", "arena already initialized"}

// autopsy finds out how the guest ended. What Go's runtime says of itself it says on the standard error; a guest that
// writes the like and exits deceives nobody but its owner.
func autopsy(id int64, err error, stopped error, stderr string) *Died {
	d := &Died{ID: id, Stderr: stderr, Reason: Trap, cause: err}
	var exit *sys.ExitError
	line := fatalLine(stderr)
	switch {
	case errors.Is(stopped, errDeadlock):
		d.Reason, d.cause = Deadlock, nil
	case errors.Is(stopped, errOutside):
		d.cause = stopped
	case stopped != nil:
		d.Reason, d.cause = Interrupted, stopped
	case errors.As(err, &exit) && (exit.ExitCode() != 2 || line == ""):
		d.Reason, d.ExitCode, d.cause = Exit, int(int32(exit.ExitCode())), nil
	case strings.Contains(line, "deadlock!"):
		d.Reason, d.cause = Deadlock, nil
	case strings.Contains(line, "stack overflow") || strings.Contains(err.Error(), "stack overflow"):
		d.Reason, d.cause = StackOverflow, nil
	case slices.ContainsFunc(outOfMemory, func(text string) bool { return strings.Contains(line, text) }):
		d.Reason, d.cause = OutOfMemory, nil
	case line != "":
		d.Reason, d.cause = Panic, nil
	}
	if exit != nil {
		d.ExitCode = int(int32(exit.ExitCode()))
	}
	return d
}

// fatalLine is the line with which Go's runtime began to say why it ends.
func fatalLine(stderr string) (last string) {
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "panic: ") {
			last = strings.TrimSpace(line)
		}
	}
	return last
}
