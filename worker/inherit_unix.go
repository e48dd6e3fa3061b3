//go:build unix

package worker

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// pipes is what a worker inherits from its host.
type pipes struct {
	requests, responses *os.File
	claims, ring, arena []byte // nil if the host has none for this worker
	dumps               bool   // what this process says as it dies goes to the host's file as well
}

// inherit takes over the descriptors, and keeps them from programs that the functions may start: a grandchild that held
// one would keep the host from seeing this worker's end.
func inherit() (pipes, error) {
	for _, fd := range []int{ipc.FDRequests, ipc.FDResponses} {
		var st syscall.Stat_t
		if err := syscall.Fstat(fd, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
			return pipes{}, fmt.Errorf("descriptor %d is not a pipe: a host must pass the pipes of PROTOCOL.md", fd)
		}
		syscall.CloseOnExec(fd)
	}
	return pipes{
		requests:  os.NewFile(ipc.FDRequests, "requests"),
		responses: os.NewFile(ipc.FDResponses, "responses"),
		claims:    mapShared(ipc.FDClaims),
		ring:      mapShared(ipc.FDRing),
		arena:     mapShared(ipc.FDArena),
		dumps:     dumpTo(ipc.FDDump),
	}, nil
}

// mapShared maps memory of the host's, for as long as the process lives. It returns nil if there is none: the host then
// does without the feature.
func mapShared(fd int) []byte {
	size := sizeOfFile(fd)
	if size == 0 {
		return nil
	}
	mem, err := syscall.Mmap(fd, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil
	}
	return mem
}

// dumpTo has the runtime write the reason of its death, and the stacks of its goroutines, to a file of the host's, besides
// standard error. It reports false if there is none.
func dumpTo(fd int) bool {
	if sizeOfFile(fd) == 0 {
		return false
	}
	f := os.NewFile(uintptr(fd), "dump")
	err := debug.SetCrashOutput(f, debug.CrashOptions{}) // keeps a copy
	return errors.Join(err, f.Close()) == nil
}

// sizeOfFile is how long an inherited file is that the host shares, which is then kept from programs that are started; 0 if fd is no such file.
func sizeOfFile(fd int) int {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG || st.Size <= 0 || st.Size > math.MaxInt {
		return 0
	}
	syscall.CloseOnExec(fd)
	return int(st.Size)
}
