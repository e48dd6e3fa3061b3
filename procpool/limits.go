package procpool

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// Limits bound what each worker may use, by itself. The system enforces them, from before the worker's first instruction, and a worker that
// does not keep to them fails or is ended; so is what it has started. Zero means no limit of its own: what holds for this program holds for
// the worker. Memory and Processes hold for a worker and what it has started together, the others for each process by itself. Who is hostile, and may do what this
// program may, can lift them: they are for workers in a Sandbox then.
//
// With cgroups of version 2 each worker has one beside this program's, so that what is limited in the parent of both holds for all together, and what is
// limited in this program's own cgroup does not hold for the worker.
//
// What this machine enforces [ProcessPoolExecutor.Enforced] says; with Config.Strict New refuses what it cannot.
type Limits struct {
	// Memory is how many bytes the worker and what it starts may have, swap and its part of the shared arena included: a cgroup. Who
	// needs more is ended by the kernel, and WorkerCrashError.OOM says so. Go workers get a GOMEMLIMIT of nine tenths of it, so that they
	// collect their garbage before. Nor may a result be longer: see Config.MaxResult.
	Memory int64

	// CPUTime is how much processor time the worker may use in all its life, in seconds: parts of one count as one. It gets SIGXCPU
	// then, which Go programs take no notice of, and after one more second of it SIGKILL. A call's time is bounded by futures.Timeout.
	CPUTime time.Duration

	// Processes is how many processes and threads there may be of the worker, itself included: a cgroup. A Go program takes about ten, and
	// ends itself if it cannot have a thread. At most 4194304, which is as many as Linux can have.
	Processes int

	// OpenFiles is how many descriptors the worker may have, nine of which it has from the start. At least 16; more than fs.nr_open no
	// process can have.
	OpenFiles int

	// FileSize is how many bytes a file may have that the worker writes: in Go writes fail with EFBIG, other programs are ended by SIGXFSZ. It bounds
	// each file, and not their number: who may write one may write many. The file into which a Go worker writes stacks as it dies is bounded as
	// well: WorkerCrashError.Goroutines has no more bytes than that.
	FileSize int64

	// Core is how many bytes of a core file are written when the worker crashes. [NoCore] means none, and so does zero if there is a
	// Sandbox.
	Core int64
}

// NoCore as Limits.Core keeps core files from being written.
const NoCore = -1

// minOpenFiles is what a worker takes before it does anything.
const minOpenFiles = 16

// mostProcesses is as many as Linux can have: cgroups take no larger number.
const mostProcesses = 1 << 22

// minMemory is what keeps a worker from being ended before its first call.
const minMemory = 16 << 20

func (l Limits) check() error {
	var errs []error
	for _, n := range []struct {
		field        string
		value, least int64
	}{
		{"Memory", l.Memory, minMemory},
		{"CPUTime", int64(l.CPUTime), 0},
		{"Processes", int64(l.Processes), 1},
		{"OpenFiles", int64(l.OpenFiles), minOpenFiles},
		{"FileSize", l.FileSize, 0},
		{"Core", l.Core, NoCore},
	} {
		if n.value != 0 && n.value < n.least || n.value < 0 && n.field != "Core" {
			errs = append(errs, fmt.Errorf("procpool: Config.Limits.%s: %d: it must be at least %d, or zero for no limit", n.field, n.value, n.least))
		}
	}
	if l.Processes > mostProcesses {
		errs = append(errs, fmt.Errorf("procpool: Config.Limits.Processes: %d: it must be at most %d, or zero for no limit", l.Processes, mostProcesses))
	}
	return errors.Join(errs...)
}

// memoryLimit is the GOMEMLIMIT that follows, in bytes; 0: none.
func (l Limits) memoryLimit() int64 { return l.Memory / 10 * 9 }

// maxBody is the longest message that a worker can have: longer than what the system lets the worker have none is.
func (p *ProcessPoolExecutor) maxBody() uint32 {
	for _, r := range p.Enforced() {
		if r.Name == "Limits.Memory" && r.Active {
			return uint32(min(p.config.Limits.Memory, ipc.MaxBody))
		}
	}
	return ipc.MaxBody
}
