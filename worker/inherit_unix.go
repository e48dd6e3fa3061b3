//go:build unix

package worker

import (
	"fmt"
	"math"
	"os"
	"syscall"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// pipes is what a worker inherits from its host.
type pipes struct {
	requests, responses *os.File
	claims, ring, arena []byte // nil if the host has none for this worker
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
	}, nil
}

// mapShared maps memory of the host's, for as long as the process lives. It returns nil if there is none: the host then
// does without the feature.
func mapShared(fd int) []byte {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG || st.Size <= 0 || st.Size > math.MaxInt {
		return nil
	}
	syscall.CloseOnExec(fd)
	mem, err := syscall.Mmap(fd, 0, int(st.Size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil
	}
	return mem
}
