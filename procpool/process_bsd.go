//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package procpool

import (
	"errors"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// rssUnit is of ru_maxrss, in bytes: macOS counts bytes, the others kilobytes.
var rssUnit = map[bool]int64{true: 1, false: 1024}[runtime.GOOS == "darwin"]

// atomicWrite is how many bytes a pipe takes as a whole or not at all.
const atomicWrite = 512

// processAttributes: a group of its own. There is no signal on the parent's death here; a worker ends with its requests.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit returns when a child has ended, and leaves it to be waited for. It reports false if it could not wait.
func awaitExit(pid int, _ bool) bool {
	queue, err := unix.Kqueue()
	if err != nil {
		return false
	}
	defer unix.Close(queue)
	var exit unix.Kevent_t
	unix.SetKevent(&exit, pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	exit.Fflags = unix.NOTE_EXIT
	events := make([]unix.Kevent_t, 1)
	for {
		n, err := unix.Kevent(queue, []unix.Kevent_t{exit}, events, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ESRCH): // a zombie already
			return true
		default:
			return err == nil && n == 1
		}
	}
}

// privateMemory: there is no cheap way to ask here.
func privateMemory(int) (bytes int64, ok bool) { return 0, false }

const weighs = false

// sharedMemory is a file of zeros without a name. A worker could cut it off under the host: Limits in the README.
func sharedMemory(name string, size int64) (*os.File, error) {
	f, err := os.CreateTemp("", name)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(f.Name()), f.Truncate(size)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
