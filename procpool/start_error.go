package procpool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/hashicorp/go-plugin"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// startError says what a human can do about a worker that did not start.
func (l *link) startError(err error, end ending) error {
	var initializer *InitializerError
	if errors.As(err, &initializer) {
		initializer.Stderr = end.stderr // only now is all of it there
		var failed *futures.TaskError
		if errors.As(err, &failed) || l.killed && !l.late {
			return err
		}
		crash := end.crash(nil, nil, false)
		crash.Func, crash.Attempt = initializer.Func, 1
		if l.late {
			initializer.Err = fmt.Errorf("it took longer than Config.StartTimeout (%v): %w", l.pool.config.StartTimeout, crash)
		} else { // it has ended by itself
			initializer.Err = fmt.Errorf("the worker was lost: %w", crash)
		}
		return err
	}
	e := &StartError{Command: l.pool.config.Worker.String(), Stderr: end.stderr, Err: err}
	var path *fs.PathError
	var confined *confineError
	switch started := l.process != nil; {
	case errors.Is(err, plugin.ErrChecksumsDoNotMatch):
		e.Reason = "its SHA-256 is not Config.Checksum: check which program it is, and whether it was built anew since the sum was taken"
	case errors.As(err, &confined):
		e.Reason = "it could not be held to Config.Limits and Config.Sandbox, so it was not started: check that what they name is still there"
	case !started && errors.Is(err, syscall.EPERM) && l.pool.config.confined():
		e.Reason = "it cannot be executed, or not be held to Config.Limits and Config.Sandbox from its start on: check the path, its permissions and Config.Dir, and that nobody traces this program with all that it starts (strace -f)"
	case !started && errors.As(err, &path) && path.Path == l.pool.command.path:
		e.Reason = "it cannot be executed: check the path, its permissions and Config.Dir"
	case !started:
		e.Reason = "this program could not prepare the start: check its limits (open files, processes, memory) and the folder for temporary files"
	case l.late:
		e.Reason = fmt.Sprintf("it was not ready within Config.StartTimeout (%v): check what it does before worker.Main", l.pool.config.StartTimeout)
	case l.killed && errors.Is(err, ipc.ErrProtocol):
		e.Reason = "it does not speak the protocol"
	case l.killed:
		e.Reason = "it does not shake hands as a worker of this pool: was it built from the same release as this program?"
	case end.oom == OOMKilled:
		e.Reason = "the kernel ended it for want of memory before it was ready: check Config.Limits.Memory"
	default:
		e.Reason = fmt.Sprintf("it ended before it was ready (%v): is it a worker, that is, does its main call worker.Main, or worker.MainIfWorker for procpool.Self?", end.state)
		if n := l.pool.config.Limits.Processes; n > 0 {
			e.Reason += fmt.Sprintf(" And does it need no more than Config.Limits.Processes (%d)? A Go program takes about ten", n)
		}
	}
	return e
}

// failureOf says what follows from a start that failed.
func failureOf(err error) startFailure {
	var initializer *InitializerError
	switch {
	case errors.As(err, &initializer):
		return fatal
	case errors.Is(err, ipc.ErrProtocol), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission), errors.Is(err, plugin.ErrChecksumsDoNotMatch):
		return lasting
	default:
		return mayPass
	}
}

// A confineError says that a worker could not be held as it should be.
type confineError struct{ err error }

func (e *confineError) Error() string { return e.err.Error() }
func (e *confineError) Unwrap() error { return e.err }
