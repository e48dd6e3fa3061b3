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

// A signal that comes between the moment when a process is traced and its exec stops it there, and the thread that would let it go waits for the exec.
func TestNoOtherSignalHoldsAWorker(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := letHold()
	require.NoError(t, err)
	var held unix.Sigset_t
	require.NoError(t, unix.PthreadSigmask(unix.SIG_SETMASK, &before, &held))
	blocks := func(set unix.Sigset_t, s unix.Signal) bool { return set.Val[(s-1)/wordBits]>>((s-1)%wordBits)&1 != 0 }
	for s := unix.Signal(1); s < 32; s++ {
		if s == unix.SIGKILL || s == unix.SIGSTOP { // which nobody can
			continue
		}
		assert.Equal(t, s != unix.SIGTRAP, blocks(held, s), "%v", s)
	}
	var after unix.Sigset_t
	require.NoError(t, unix.PthreadSigmask(unix.SIG_SETMASK, &before, &after))
	assert.Equal(t, before, after)
}
