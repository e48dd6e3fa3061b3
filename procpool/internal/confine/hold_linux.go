package confine

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mayHold says why a process cannot be held at its exec, or nil.
func mayHold() error {
	text, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err != nil {
		return nil //nolint:nilerr // without yama everybody may trace their children
	}
	switch scope := strings.TrimSpace(string(text)); {
	case scope == "3", scope == "2" && !capable(unix.CAP_SYS_PTRACE):
		return errors.New("/proc/sys/kernel/yama/ptrace_scope is " + scope)
	}
	return nil
}

// letHold sees to it that the signal by which a process is held reaches it. It is called on the thread that starts it.
func letHold() error {
	var traps unix.Sigset_t
	traps.Val[(unix.SIGTRAP-1)/wordBits] |= 1 << ((unix.SIGTRAP - 1) % wordBits)
	return unix.PthreadSigmask(unix.SIG_UNBLOCK, &traps, nil)
}

const wordBits = 32 << (^uint(0) >> 63) // of a word of a signal set

// awaitHold returns when the process is held at its exec.
func awaitHold(pid int) error {
	const trapped = 4 // CLD_TRAPPED
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for the worker's exec: %w", err)
		case info.Code == trapped:
			return nil
		default:
			return fmt.Errorf("the worker was not held at its exec, but met another end (code %d)", info.Code)
		}
	}
}

// letGo lets a held process run, and traces it no more.
func letGo(pid int) error {
	if err := syscall.PtraceDetach(pid); err != nil {
		return fmt.Errorf("let the worker go: %w", err)
	}
	return nil
}
