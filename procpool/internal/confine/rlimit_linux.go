package confine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An rlimit is one that the kernel keeps for a process.
type rlimit struct {
	name     string
	resource int
	value    unix.Rlimit
}

// cpuGrace is how many seconds a process has from SIGXCPU, which Go takes no notice of, to SIGKILL.
const cpuGrace = 1

// rlimits are those of a worker. pattern is what corePattern says.
func rlimits(l Limits, boxed bool, pattern string) (list []rlimit) {
	flat := func(name string, resource int, n int64) {
		if n != 0 {
			list = append(list, rlimit{name, resource, unix.Rlimit{Cur: uint64(max(n, 0)), Max: uint64(max(n, 0))}})
		}
	}
	if l.CPUTime > 0 {
		seconds := uint64((l.CPUTime-1)/time.Second + 1)
		list = append(list, rlimit{"Limits.CPUTime", unix.RLIMIT_CPU, unix.Rlimit{Cur: seconds, Max: seconds + cpuGrace}})
	}
	flat("Limits.OpenFiles", unix.RLIMIT_NOFILE, int64(l.OpenFiles))
	flat("Limits.FileSize", unix.RLIMIT_FSIZE, l.FileSize)
	if l.Core == 0 && boxed {
		l.Core = -1 // nobody has named a place for it
	}
	if l.Core < 0 {
		l.Core = noCore(pattern)
	}
	flat("Limits.Core", unix.RLIMIT_CORE, l.Core)
	return list
}

// corePattern is where the kernel puts core files, or to whom.
func corePattern() string {
	text, _ := os.ReadFile("/proc/sys/kernel/core_pattern") // which there is always
	return string(text)
}

// noCore is the limit with which no core is written. For one that goes to a program the kernel takes no notice of any but 1, which is too little for a
// file as well, but more than some programs may set.
func noCore(pattern string) int64 {
	if strings.HasPrefix(pattern, "|") {
		return 1
	}
	return -1
}

// impose gives a process its limits.
func impose(pid int, list []rlimit) error {
	for _, l := range list {
		v := l.value
		if err := unix.Prlimit(pid, l.resource, &v, nil); err != nil {
			return fmt.Errorf("%s: set the limit to %d: %w", l.name, v.Cur, err)
		}
	}
	return nil
}

// beyond says why a limit cannot be set: nobody but root raises one beyond this program's own, and nobody that of descriptors beyond the system's.
func (r rlimit) beyond() error {
	if r.resource == unix.RLIMIT_NOFILE {
		if most, known := nrOpen(); known && r.value.Max > most {
			return fmt.Errorf("the system's bound is lower: fs.nr_open is %d", most)
		}
	}
	var own unix.Rlimit
	if err := unix.Getrlimit(r.resource, &own); err != nil {
		return err
	}
	if r.value.Max > own.Max && !capable(unix.CAP_SYS_RESOURCE) {
		return fmt.Errorf("this program's own limit is lower: %d", own.Max)
	}
	return nil
}

// nrOpen is how many descriptors a process can have at all, where the system tells.
func nrOpen() (n uint64, known bool) {
	text, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
