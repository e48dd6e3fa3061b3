package procpool

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAWorkerHasItsShareOfTheProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	for workers, share := range map[int]int{1: 8, 2: 4, 3: 2, 4: 2, 100: 2} {
		assert.Equal(t, share, Config{MaxWorkers: workers}.processors(), "of %d workers", workers)
	}
	runtime.GOMAXPROCS(1)
	assert.Equal(t, 1, Config{MaxWorkers: 1}.processors())
}

func TestASandboxDoesNotDependOnTheWorkingDirectory(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	asked := Sandbox{Read: []string{"in"}, Write: []string{"./out/.."}}
	box, err := asked.absolute()
	require.NoError(t, err)
	assert.Equal(t, []string{filepath.Join(here, "in")}, box.Read)
	assert.Equal(t, []string{here}, box.Write)
	assert.Equal(t, []string{"in"}, asked.Read, "it is the caller's")
}
