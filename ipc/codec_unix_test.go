//go:build unix

package ipc_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

func TestTooLargeAValueIsRefusedBeforeItIsTouched(t *testing.T) {
	v, err := syscall.Mmap(-1, 0, ipc.MaxValue, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(v)) })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = ipc.AppendValue(nil, &v)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, futures.ErrNotShareable)
	require.ErrorContains(t, err, fmt.Sprintf("takes %d bytes", ipc.MaxValue+5))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}
