package confine

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Capabilities that a host has to give to its children go to no worker.
func TestNothingIsInherited(t *testing.T) {
	if !capable(unix.CAP_SETPCAP) || !capable(unix.CAP_NET_RAW) {
		t.Skip("THE TEST TAKES CAPABILITIES THAT COULD BE INHERITED")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock it
		header, data, err := capabilities()
		assert.NoError(t, err)
		data[0].Inheritable = 1 << unix.CAP_NET_RAW
		assert.NoError(t, unix.Capset(&header, &data[0]))
		assert.NoError(t, unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_NET_RAW, 0, 0))
		assert.NoError(t, renounce())
		_, data, err = capabilities()
		assert.NoError(t, err)
		assert.Zero(t, data[0].Inheritable|data[1].Inheritable)
		ambient, err := unix.PrctlRetInt(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, unix.CAP_NET_RAW, 0, 0)
		assert.NoError(t, err)
		assert.Zero(t, ambient)
		bound, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_NET_RAW, 0, 0, 0)
		assert.NoError(t, err)
		assert.Zero(t, bound)
	}()
	<-done
	_, data, err := capabilities()
	require.NoError(t, err)
	assert.Zero(t, data[0].Inheritable, "the rest of the program is as it was")
}
