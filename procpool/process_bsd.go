//go:build unix && !linux

package procpool

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// rssUnit is of ru_maxrss, in bytes: macOS counts bytes, the others kilobytes.
var rssUnit = map[bool]int64{true: 1, false: 1024}[runtime.GOOS == "darwin"]

// processAttributes: a group of its own. There is no signal on the parent's death here; a worker ends with its requests.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit does not wait: here a process is waited for and reaped in one step, so a grandchild that outlives its group's
// leader is signalled just after the leader's pid was given back.
func awaitExit(int) {}

// sharedMemory is a file of zeros without a name. A worker could cut it off under the host: see SECURITY in the README.
func sharedMemory(size int64) (*os.File, error) {
	f, err := os.CreateTemp("", "claims")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(f.Name()), f.Truncate(size)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
