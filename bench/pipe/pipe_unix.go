//go:build unix

// Package pipe moves bytes through anonymous pipes whose descriptors block: the best that a bare pipe can do.
package pipe

import (
	"io"
	"os"
	"runtime"
	"syscall"
)

// An End is one end of a pipe. It is used by one goroutine at a time, which does best to have its thread for itself.
type End struct {
	file *os.File // keeps the descriptor open
	fd   int
}

// New makes a pipe that children do not inherit by themselves. It is not os.Pipe, which announces its descriptors to the netpoller: from
// then on each byte wakes a thread that has nothing to do with it, on another core, and a round trip takes twice as long.
func New() (r, w End, err error) {
	var fds [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := syscall.Pipe(fds[:]); err != nil {
		return End{}, End{}, os.NewSyscallError("pipe", err)
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	return FromDescriptor(fds[0]), FromDescriptor(fds[1]), nil
}

// FromDescriptor takes over a descriptor that blocks.
func FromDescriptor(fd int) End { return End{os.NewFile(uintptr(fd), "pipe"), fd} }

// File is the end as a file, which a child can be given.
func (e End) File() *os.File { return e.file }

// Read fills b, or says why not.
func (e End) Read(b []byte) error { return whole(b, e.fd, syscall.Read, e.file) }

// Write writes all of b, or says why not.
func (e End) Write(b []byte) error { return whole(b, e.fd, syscall.Write, e.file) }

// Close closes the descriptor. No other call may be under way.
func (e End) Close() error { return e.file.Close() }

// whole repeats move until all of b has been moved.
func whole(b []byte, fd int, move func(int, []byte) (int, error), file *os.File) error {
	defer runtime.KeepAlive(file)
	for len(b) > 0 {
		n, err := move(fd, b)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("pipe", err)
		case n == 0:
			return io.EOF
		}
		b = b[n:]
	}
	return nil
}
