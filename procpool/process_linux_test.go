package procpool

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Or else whoever uses the arena would be taken for one who leaks.
func TestMemoryThatIsSharedDoesNotCount(t *testing.T) {
	const size = 64 << 20
	file, err := sharedMemory("test", size)
	require.NoError(t, err)
	defer file.Close()
	mem, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	require.NoError(t, err)
	defer func() { assert.NoError(t, syscall.Munmap(mem)) }()
	before, ok := privateMemory(os.Getpid())
	require.True(t, ok)
	for i := 0; i < size; i += os.Getpagesize() {
		mem[i] = 1
	}
	after, ok := privateMemory(os.Getpid())
	require.True(t, ok)
	assert.Less(t, after-before, int64(size/2))
}
