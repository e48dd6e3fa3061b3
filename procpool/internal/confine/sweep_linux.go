package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mark is what the names of this host's cgroups begin with.
func mark() (string, error) {
	host, err := realm()
	if err != nil {
		return "", err
	}
	start, err := startTime(os.Getpid())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%s-%d-%s-", namePrefix, host, os.Getpid(), start), nil
}

// sweep removes the cgroups of hosts that are gone.
func sweep(g groups) {
	here, err := realm()
	if err != nil {
		return
	}
	for _, name := range g.leftover() {
		rest, near := strings.CutPrefix(name, namePrefix+here+"-")
		fields := strings.Split(rest, "-")
		if !near || len(fields) != 3 {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		if err != nil {
			continue
		}
		if !gone(pid, fields[1]) {
			continue
		}
		if left, err := g.open(name); err == nil {
			_ = clear(left) // the next pool tries again
		}
	}
}

// named lists the folders of workers, but for those of other users.
func named(folder string) (names []string) {
	entries, _ := os.ReadDir(folder) // what cannot be read cannot be removed
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), namePrefix) && mayWrite(filepath.Join(folder, e.Name(), "cgroup.procs")) == nil {
			names = append(names, e.Name())
		}
	}
	return names
}

// gone reports whether the process that was started then is no more. One that cannot be seen may live: /proc may hide it (hidepid).
func gone(pid int, then string) bool {
	start, err := startTime(pid)
	if err == nil {
		return start != then
	}
	return (errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH)) && errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

// startTime is when a process was started, in the clock ticks of the kernel: with the pid it names a process for good.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // the name before it may hold anything
	const started = 22 - 3                                                              // counted behind the name
	if len(fields) <= started {
		return "", fmt.Errorf("/proc/%d/stat is short", pid)
	}
	return fields[started], nil
}

// realm names the namespaces of this program in which a pid and a start time mean something. The error says why pids in /proc mean nothing to it.
func realm() (string, error) {
	if self, err := os.Readlink("/proc/self"); err != nil {
		return "", err
	} else if self != strconv.Itoa(os.Getpid()) {
		return "", errors.New("/proc is not that of this program's pid namespace: mount it there")
	}
	pid, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", err
	}
	clock, err := os.Readlink("/proc/self/ns/time")
	if errors.Is(err, os.ErrNotExist) {
		clock, err = "time:[0]", nil // before Linux 5.6 all have the same
	}
	number := func(link string) string { return strings.Trim(link, "abcdefghijklmnopqrstuvwxyz:[]") }
	return number(pid) + "-" + number(clock), err
}
