package procpool

import (
	"fmt"

	"github.com/seed7d1be1d5/concurrent/procpool/internal/confine"
)

// An OOM is a verdict on whether a worker ended because memory ran out. It is what the kernel has counted in the worker's own cgroup, and never a
// guess: a SIGKILL may have come from anybody. A worker has a cgroup if Config.Limits or Config.Sandbox are used, where this
// program can make one.
type OOM uint8

const (
	OOMUnknown OOM = iota // nothing has counted
	OOMKilled             // the kernel has killed the worker, or a process that it had started, for memory
	NotOOM                // it has not
)

func (o OOM) String() string {
	switch o {
	case OOMUnknown:
		return "unknown"
	case OOMKilled:
		return "out of memory"
	case NotOOM:
		return "not out of memory"
	}
	return fmt.Sprintf("OOM(%d)", uint8(o))
}

func oomOf(v confine.Verdict) OOM {
	switch v {
	case confine.Killed:
		return OOMKilled
	case confine.Spared:
		return NotOOM
	default:
		return OOMUnknown
	}
}
