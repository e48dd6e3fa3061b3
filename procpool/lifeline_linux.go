package procpool

import (
	"os"

	"golang.org/x/sys/unix"
)

// A lifeline is a pipe that nobody writes to. When this host is gone, however it went, the kernel finds that it has no writer any more and kills the process
// group of the worker, frozen or not, with all that the worker has started. The signal on the parent's death reaches the worker alone.
//
// newLifeline returns the worker's end and this host's.
func newLifeline() (theirs, ours *os.File, err error) { return os.Pipe() }

// tie tells the kernel whom to kill. That holds for the worker's end wherever it is open, and for the group itself rather than for its number, which may be
// another one's some day. Where the kernel does not do it, the worker is left with what it has besides: the end of its requests, and of its parent.
func tie(theirs *os.File, group int) {
	conn, err := theirs.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { // fails only for a file that is closed
		const signalOf = 10 // F_SETSIG, which package unix lacks
		if _, err := unix.FcntlInt(fd, unix.F_SETOWN, -group); err != nil {
			return
		}
		if _, err := unix.FcntlInt(fd, signalOf, int(unix.SIGKILL)); err != nil {
			return
		}
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err == nil {
			_, _ = unix.FcntlInt(fd, unix.F_SETFL, flags|unix.O_ASYNC) // see above
		}
	})
}
