package confine

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Containers forbid ptrace by a filter. Who plans to hold workers where that is so can start none.
func TestWhereAFilterForbidsToTraceNobodyIsHeld(t *testing.T) {
	require.NoError(t, mayHold())
	var others []uint32
	for n, name := range here(t).SyscallNumbers {
		if name != "ptrace" {
			others = append(others, uint32(n))
		}
	}
	program, err := assemble(uint32(here(t).ID), false, others, nil, nil)
	require.NoError(t, err)
	said := make(chan error)
	go func() {
		runtime.LockOSThread() // for good
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			said <- err
			return
		}
		if err := install(program); err != nil {
			said <- err
			return
		}
		said <- mayHold()
	}()
	assert.ErrorContains(t, <-said, "ptrace is forbidden here: operation not permitted")
}
