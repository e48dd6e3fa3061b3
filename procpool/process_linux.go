package procpool

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"
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

// askThread sends SIGQUIT to the thread that runs, the one that has used the processor the longest, if any does. What the host wants to hear of is likely what runs, and
// the Go runtime knows that stack for sure where it has the signal: goroutines of other threads have five milliseconds to stop, and are left out on a machine that is busy.
func askThread(pid int) {
	const most = 256 // threads to look at
	asked, longest := 0, int64(-1)
	if folder, err := os.Open(fmt.Sprintf("/proc/%d/task", pid)); err == nil {
		threads, _ := folder.Readdirnames(most) // whatever there is
		_ = folder.Close()                      // it was never written
		for _, t := range threads {
			if used, runs := threadTime(fmt.Sprintf("/proc/%d/task/%s/stat", pid, t)); runs && used > longest {
				asked, _ = strconv.Atoi(t)
				longest = used
			}
		}
	}
	if asked == 0 || unix.Tgkill(pid, asked, unix.SIGQUIT) != nil { // or it has ended meanwhile
		_ = syscall.Kill(pid, syscall.SIGQUIT) // an error says that it is gone
	}
}

// threadTime is how long a thread has used the processor, in ticks, and whether it runs.
func threadTime(stat string) (used int64, runs bool) {
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0, false
	}
	const state, user, system = 0, 11, 12 // behind the name, which may have anything in it
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) <= system || fields[state] != "R" {
		return 0, false
	}
	for _, field := range fields[user : system+1] {
		ticks, _ := strconv.ParseInt(field, 10, 64)
		used += ticks
	}
	return used, true
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
