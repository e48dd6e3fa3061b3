package confine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// burial bounds how long the members of a cgroup may take to end: one of them may be in the middle of writing to a disk.
const burial = 2 * time.Second

// clear ends whatever is in a cgroup, and removes it.
func clear(g group) error {
	deadline := time.Now().Add(burial)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		why := g.remove()
		if why == nil || errors.Is(why, os.ErrNotExist) { // another program may have been faster
			return nil
		}
		if err := g.kill(); err != nil {
			why = err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes in the cgroup of a worker do not end: %w", why)
		}
		time.Sleep(pause) // the kernel tells nobody when version 1 is empty
	}
}

// killEach sends SIGKILL to each member of the cgroup of that name once. Members that are born meanwhile are met in the next round of clear.
func killEach(g group, name string) error {
	pids, err := g.members()
	for _, pid := range pids {
		killMember(g, pid, name)
	}
	return err
}

// killMember kills a process that is in a cgroup of that name. One that was may have gone, and its pid may be somebody else's: so it looks who it is once the
// kernel keeps that one from being mistaken for another.
func killMember(g group, pid int, name string) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM): // before Linux 5.3, or a filter does not know it
	case err != nil:
		return // it has gone
	default:
		defer func() { _ = unix.Close(fd) }() // it was never written
	}
	if !belongs(g, pid, name) {
		return
	}
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL) // it may have gone by itself
		return
	}
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // likewise
}

// belongs reports whether a process is in a cgroup of that name now. It asks the process, since the list of all may be long.
func belongs(g group, pid int, name string) bool {
	cgroups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil { // it has gone, or /proc hides it
		pids, _ := g.members() // what cannot be read has nobody in it
		return slices.Contains(pids, pid)
	}
	return inGroup(string(cgroups), name)
}

// inGroup reports whether a process with these lines in /proc/PID/cgroup is in a cgroup of that name, or below it.
func inGroup(cgroups, name string) bool {
	for line := range strings.Lines(cgroups) {
		if strings.Contains(strings.TrimSuffix(line, "\n")+"/", "/"+name+"/") {
			return true
		}
	}
	return false
}
