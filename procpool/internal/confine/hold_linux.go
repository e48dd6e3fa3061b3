package confine

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mayHold says why a process cannot be held at its exec, or nil.
func mayHold() error {
	if err := syscall.PtraceDetach(0); !errors.Is(err, unix.ESRCH) { // there is nobody of that pid: whoever says anything else is a filter of system calls
		return fmt.Errorf("ptrace is forbidden here: %w", err)
	}
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

// letHold sees to it that the signal by which a process is held reaches it, and no other does before: any would hold it too early, where the thread that
// starts it does not return to let it go. It is called on that thread, and returns what that one had blocked.
func letHold() (blocked unix.Sigset_t, err error) {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	all.Val[(unix.SIGTRAP-1)/wordBits] &^= 1 << ((unix.SIGTRAP - 1) % wordBits)
	err = unix.PthreadSigmask(unix.SIG_SETMASK, &all, &blocked)
	return blocked, err
}

const wordBits = 32 << (^uint(0) >> 63) // of a word of a signal set

// blocked asks for or sets what a held process has blocked, which only the thread that holds it can. The error is ESRCH while it is not held.
func blocked(request uintptr, pid int, signals *unix.Sigset_t) error {
	const size = 8 // of what the kernel takes for a signal set
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, request, uintptr(pid), size, uintptr(unsafe.Pointer(signals)), 0, 0); errno != 0 {
		return fmt.Errorf("the worker's signals: %w", errno)
	}
	return nil
}

// awaitHold returns when the process is held, or held again. It sees by the hold itself, and does not wait for the news of it: a host that waits for
// whatever children it has, as those that are pid 1 do, may be the one that gets them. It does not take long: the process is on its way out of a system call.
func awaitHold(pid int) error {
	for {
		var signals unix.Sigset_t
		err := blocked(unix.PTRACE_GETSIGMASK, pid, &signals)
		if !errors.Is(err, unix.ESRCH) {
			return err
		}
		var info unix.Siginfo
		switch err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for the worker's exec: %w", err)
		case info.Code != 0 && info.Code != trapped:
			return fmt.Errorf("the worker was not held at its start, but met another end (code %d)", info.Code)
		}
		time.Sleep(10 * time.Microsecond)
	}
}

const trapped = 4 // CLD_TRAPPED

// forget has the end of the calling thread let a held process run: what that one is held by is taken for seen, and would be a signal that ends it otherwise.
func forget(pid int) error {
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOHANG, nil); err != nil {
		return fmt.Errorf("let the worker go: %w", err)
	}
	return nil
}

// letGo lets a held process run, and traces it no more.
func letGo(pid int) error {
	if err := syscall.PtraceDetach(pid); err != nil {
		return fmt.Errorf("let the worker go: %w", err)
	}
	return nil
}
