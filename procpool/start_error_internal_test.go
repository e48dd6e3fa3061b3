package procpool

import (
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who traces this program and what it starts has the place of the hold, which the kernel says as if the program could not be executed.
func TestAStartErrorTellsOfTracersWhereTheyMatter(t *testing.T) {
	refused := &fs.PathError{Op: "fork/exec", Path: "/worker", Err: syscall.EPERM}
	reason := func(c Config) string {
		l := &link{pool: &ProcessPoolExecutor{config: c, command: resolved{path: "/worker"}}}
		var failed *StartError
		require.ErrorAs(t, l.startError(refused, ending{}), &failed)
		require.ErrorIs(t, failed, syscall.EPERM)
		return failed.Reason
	}
	assert.Contains(t, reason(Config{Sandbox: PureCPU}), "strace")
	assert.Contains(t, reason(Config{Limits: Limits{OpenFiles: 64}}), "strace")
	assert.Contains(t, reason(Config{}), "it cannot be executed: check the path")
}
