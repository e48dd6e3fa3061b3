package confine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup2"
	"golang.org/x/sys/unix"
)

// Each worker has a cgroup of its own, next to this program's (version 2) or below it (version 1). Its name says whose it is:
//
//	concurrent-<pid namespace>-<time namespace>-<pid of the host>-<its start time>-<number>
//
// so that what a killed host has left can be told from what a living one has, and the next pool removes it. A host in another pid
// namespace cannot be judged from here, and in another time namespace it has another start time: what those have is left alone.

const (
	namePrefix = "concurrent-"
	mount      = "/sys/fs/cgroup"
)

// A group is the cgroup of a worker.
type group interface {
	add(pid int) error
	members() ([]int, error)
	kill() error // whatever is in it
	oomKills() (n uint64, known bool)
	countsSwap() bool // against the limit of memory
	remove() error
}

// groups makes cgroups in one place.
type groups interface {
	make(name string, l Limits) (group, error)
	leftover() []string // names that begin with namePrefix
	open(name string) (group, error)
	memory() error // why memory cannot be limited, or nil
	processes() error
	version() string
}

// placement is where workers get their cgroups: of version 2 if the controllers are there, of version 1 if not. The error says
// why there are none.
func placement() (groups, error) {
	if cgroups.Mode() == cgroups.Unified {
		own, err := cgroup2.NestedGroupPath("")
		if err != nil {
			return nil, fmt.Errorf("find the cgroup of this process: %w", err)
		}
		g := &groups2{mount: mount, parent: path.Dir(own)}
		return g, g.mayMove()
	}
	if cgroups.Mode() == cgroups.Unavailable {
		return nil, errors.New("no cgroups are mounted at " + mount)
	}
	return newGroups1()
}

// remedy is what a human can do about cgroups that cannot be made.
func remedy(why error) string {
	switch {
	case errors.Is(why, unix.EBUSY):
		return "; a cgroup with processes of its own is not divided: run this program in a cgroup whose parent has none (systemd: Delegate=yes and DelegateSubgroup=; " +
			"in a container: move whatever runs there to a cgroup below its root)"
	case errors.Is(why, unix.EROFS):
		return "; this container may only read its cgroups: have them delegated to it, mounted for writing"
	}
	return "; run this program as root, or in a cgroup whose parent is delegated to its user (systemd: Delegate=yes and DelegateSubgroup=, or systemd-run --user --scope -p Delegate=yes)"
}

func mayWrite(file string) error {
	return unix.Faccessat(unix.AT_FDCWD, file, unix.W_OK, unix.AT_EACCESS)
}

// counter reads one line of a file of counters.
func counter(file, name string) (n uint64, known bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			n, err := strconv.ParseUint(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
