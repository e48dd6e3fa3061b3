package procpool

import (
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"

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

// A worker that does not even end of SIGKILL was not ready in time all the same.
func TestAnErrorOfAStartThatTookTooLongSaysSoOfAWorkerThatIsStillThere(t *testing.T) {
	l := &link{pool: &ProcessPoolExecutor{config: Config{StartTimeout: time.Minute}}, process: new(process), late: true, killed: true}
	end := ending{pid: 1, undead: true}
	err := l.startError(&InitializerError{Func: "load", PID: 1, Err: os.ErrDeadlineExceeded}, end)
	var lost *WorkerCrashError
	require.ErrorAs(t, err, &lost)
	assert.ErrorIs(t, lost, errUndead)
	assert.Equal(t, "load", lost.Func)
	assert.ErrorContains(t, err, "longer than Config.StartTimeout (1m0s)")
	assert.ErrorContains(t, l.startError(os.ErrDeadlineExceeded, end), "not ready within Config.StartTimeout (1m0s)")
}
