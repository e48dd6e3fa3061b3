package procpool

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const rssUnit = 1024 // of ru_maxrss, in bytes

// atomicWrite is how many bytes a pipe takes as a whole or not at all.
const atomicWrite = 4096

// processAttributes: a group of its own, so that it can be ended with all it starts; and an end with this host. The second
// backs up the end of its requests, which a worker sees as well, but perhaps late.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns when a child has ended, and leaves it to be waited for. It reports false if it could not wait.
//
// A hostile worker can have this program trace it, by one thread as well, and then it has not ended before that thread was waited for. One that cannot leave its group is therefore
// waited for as a group. Nothing else comes of that: who is stopped by it is ended.
func awaitExit(pid int, keepsGroup bool) bool {
	whom := unix.P_PID
	if keepsGroup {
		whom = unix.P_PGID
	}
	for {
		var info unix.Siginfo
		err := unix.Waitid(whom, pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		const trapped = 4 // CLD_TRAPPED
		switch who := child(&info); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return false
		case info.Code == trapped:
			strike(-pid)
		case who == pid:
			return true
		default: // a thread, or what a worker has left to a host that adopts such
			_ = unix.Waitid(unix.P_PID, who, nil, unix.WEXITED, nil) // the next round sees what has become of it
		}
	}
}

// child is whom info tells of, which package unix has no name for: it stands behind three numbers, and on a word.
func child(info *unix.Siginfo) int {
	const three, word = 3 * 4, bits.UintSize / 8
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), (three+word-1)/word*word)))
}

// privateMemory is how many bytes of a process are in memory and neither of a file nor shared.
func privateMemory(pid int) (bytes int64, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, false
	}
	var size, resident, shared int64
	if _, err := fmt.Sscan(string(text), &size, &resident, &shared); err != nil {
		return 0, false
	}
	return (resident - shared) * int64(os.Getpagesize()), true
}

// weighs says whether privateMemory does.
const weighs = true

// sharedMemory is a file of zeros that only those who are given it can reach. It cannot change its size, which keeps a
// worker from cutting it off under the host, and since Linux 6.3 it cannot be executed.
func sharedMemory(name string, size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err == nil { // a worker in a sandbox cannot change it back
			err = unix.Fchmod(fd, 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return nil, errors.Join(fmt.Errorf("seal: %w", err), f.Close())
	}
	return f, nil
}
