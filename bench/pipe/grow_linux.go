package pipe

import (
	"os"
	"syscall"
)

const setPipeSize = 1031 // F_SETPIPE_SZ

// Grow asks the kernel for a pipe that holds size bytes.
func Grow(e End, size int) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(e.fd), setPipeSize, uintptr(size)); errno != 0 {
		return os.NewSyscallError("fcntl F_SETPIPE_SZ", errno)
	}
	return nil
}
