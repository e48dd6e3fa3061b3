package worker

import (
	"os"
	"syscall"
)

// readiness waits until a pipe can be read, as the runtime waits for a socket: nobody is in a system call meanwhile. One who is holds a
// processor of the runtime until the runtime's monitor takes it away, and then that monitor looks every 20 microseconds for more of the kind: it
// took 4 % of the time of calls that compute for 10 ms.
//
// The runtime cannot watch the pipe itself, for then every request would wake a thread that waits for nothing. So a set of its own
// watches the pipe, once each time it is asked to, and the runtime watches that set.
type readiness struct {
	pipe int
	set  int
	file *os.File // the set, for the runtime
}

// newReadiness returns nil if the system does not let it.
func newReadiness(pipe *os.File) *readiness {
	set, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	r := &readiness{pipe: int(pipe.Fd()), set: set}
	if syscall.SetNonblock(set, true) != nil || r.watch(syscall.EPOLL_CTL_ADD) != nil {
		_ = syscall.Close(set)
		return nil
	}
	r.file = os.NewFile(uintptr(set), "requests")
	return r
}

// watch makes the set look at the pipe until that can be read.
func (r *readiness) watch(how int) error {
	const oneShot = 1 << 30 // EPOLLONESHOT, which package syscall lacks
	return syscall.EpollCtl(r.set, how, r.pipe, &syscall.EpollEvent{Events: syscall.EPOLLIN | oneShot})
}

// await returns when the pipe can be read or is over. It returns at once where that cannot be waited for: the read that
// follows waits as well.
func (r *readiness) await() {
	if r == nil || r.watch(syscall.EPOLL_CTL_MOD) != nil {
		return
	}
	conn, err := r.file.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(set uintptr) (done bool) {
		n, err := syscall.EpollWait(int(set), make([]syscall.EpollEvent, 1), 0)
		return n > 0 || err != nil && err != syscall.EINTR
	})
}
