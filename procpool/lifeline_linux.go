package procpool

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A lifeline is a pipe that nobody writes to and nobody reads, with both ends in this host. When the host is gone, however it went, the kernel finds the pipe without a
// writer and kills the process group of the worker, frozen or not, with all that the worker has started. The worker has no part of it, so it cannot let go.
//
// The kernel asks who is still there to be told: an end that is read. It closes the files of a program that dies in the order of their numbers or the other way round, as it likes, so
// one such end has a smaller number than the writer and one a greater.
type lifeline struct{ below, writer, above int }

// newLifeline makes one for the process group of a worker, which must not have been waited for. The kernel remembers the group itself rather than its number, which may be another one's
// some day. Where it does not do all this, the worker has what it has besides: the end of its requests, and the signal on the death of its parent, which a worker in a sandbox has until now.
func newLifeline(group int) (l *lifeline, err error) {
	l = &lifeline{-1, -1, -1}
	defer func() {
		if err != nil {
			l.cut()
			l, err = nil, fmt.Errorf("make a lifeline: %w", err)
		}
	}()
	var ends [2]int
	if err = unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return l, os.NewSyscallError("pipe2", err)
	}
	l.below, l.writer = ends[0], ends[1]
	if l.writer, err = above(l.writer, l.below); err != nil {
		return l, err
	}
	l.above, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", l.below), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	switch {
	case err == nil:
		l.above, err = above(l.above, l.writer)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		err = os.NewSyscallError("open", err)
	default: // no /proc: since Linux 4.3 below is enough
		err = nil
	}
	if err != nil {
		return l, err
	}
	for _, end := range []int{l.below, l.above} {
		if end >= 0 {
			kill(end, group)
		}
	}
	return l, nil
}

// above gives what is open as fd a number above floor.
func above(fd, floor int) (int, error) {
	if fd > floor {
		return fd, nil
	}
	higher, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, floor+1)
	if err != nil {
		return fd, os.NewSyscallError("fcntl", err)
	}
	_ = unix.Close(fd) // it was never written
	return higher, nil
}

// kill has the kernel kill a group when there is something to be heard at an end.
func kill(end, group int) {
	const signalOf = 10 // F_SETSIG, which package unix lacks
	if _, err := unix.FcntlInt(uintptr(end), unix.F_SETOWN, -group); err != nil {
		return
	}
	if _, err := unix.FcntlInt(uintptr(end), signalOf, int(unix.SIGKILL)); err != nil {
		return
	}
	flags, err := unix.FcntlInt(uintptr(end), unix.F_GETFL, 0)
	if err == nil {
		_, _ = unix.FcntlInt(uintptr(end), unix.F_SETFL, flags|unix.O_ASYNC) // see newLifeline
	}
}

// cut gives the lifeline back without killing anybody: the writer goes last.
func (l *lifeline) cut() {
	if l == nil {
		return
	}
	for _, fd := range []int{l.below, l.above, l.writer} {
		if fd >= 0 {
			_ = unix.Close(fd) // it was never written
		}
	}
}
