package confine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/runtime-spec/specs-go"
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
		return "; this container may only read its cgroups: mount them for writing"
	}
	return "; run this program as root, or in a cgroup whose parent is delegated to its user (systemd: Delegate=yes and DelegateSubgroup=, or systemd-run --user --scope -p Delegate=yes)"
}

// Version 1: a folder for each controller.

type groups1 struct {
	subsystems []cgroup1.Subsystem
	folders    map[cgroup1.Name]string // where those of workers go
	path       func(name string) cgroup1.Path
}

func newGroups1() (*groups1, error) {
	g := &groups1{folders: make(map[cgroup1.Name]string), path: cgroup1.NestedPath}
	own := cgroup1.NestedPath("")
	type rooted interface {
		cgroup1.Subsystem
		Path(string) string
	}
	for _, s := range []rooted{cgroup1.NewMemory(mount, cgroup1.OptionalSwap()), cgroup1.NewPids(mount)} {
		at, err := own(s.Name())
		if err != nil {
			continue // not mounted
		}
		if _, err := os.Stat(s.Path(at)); err != nil {
			continue
		}
		g.subsystems = append(g.subsystems, s)
		g.folders[s.Name()] = s.Path(at)
	}
	if len(g.subsystems) == 0 {
		return nil, errors.New("neither the memory nor the pids controller of cgroup v1 is mounted where this process is")
	}
	return g, nil
}

func (g *groups1) version() string { return "cgroup v1" }

func (g *groups1) memory() error    { return g.has(cgroup1.Memory) }
func (g *groups1) processes() error { return g.has(cgroup1.Pids) }

func (g *groups1) has(name cgroup1.Name) error {
	if g.folders[name] == "" {
		return fmt.Errorf("the %s controller of cgroup v1 is not mounted where this process is", name)
	}
	return nil
}

func (g *groups1) hierarchy() ([]cgroup1.Subsystem, error) { return g.subsystems, nil }

func (g *groups1) make(name string, l Limits) (group, error) {
	resources := &specs.LinuxResources{}
	if l.Memory > 0 {
		resources.Memory = &specs.LinuxMemory{Limit: &l.Memory, Swap: &l.Memory} // of both together
	}
	if l.Processes > 0 {
		n := int64(l.Processes)
		resources.Pids = &specs.LinuxPids{Limit: &n}
	}
	made, err := cgroup1.New(g.path(name), resources, cgroup1.WithHierarchy(g.hierarchy), func(c *cgroup1.InitConfig) error {
		c.InitCheck = cgroup1.AllowAny
		return nil
	})
	if err != nil {
		for _, folder := range g.folders {
			_ = os.Remove(filepath.Join(folder, name)) // what was made before it failed
		}
		return nil, err
	}
	return &group1{Cgroup: made, groups: g, name: name}, nil
}

func (g *groups1) open(name string) (group, error) {
	found, err := cgroup1.Load(g.path(name), cgroup1.WithHierarchy(g.hierarchy))
	if err != nil {
		return nil, err
	}
	return &group1{Cgroup: found, groups: g, name: name}, nil
}

func (g *groups1) leftover() []string {
	var found []string
	for _, folder := range g.folders {
		found = append(found, named(folder)...)
	}
	return found
}

type group1 struct {
	cgroup1.Cgroup
	groups *groups1
	name   string
}

func (g *group1) add(pid int) error { return g.AddProc(uint64(pid)) }

func (g *group1) members() (pids []int, err error) {
	for _, s := range g.Subsystems() {
		list, err := g.Processes(s.Name(), true)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, p := range list {
			pids = append(pids, p.Pid)
		}
	}
	return pids, nil
}

// kill ends them one by one, and lets none be born meanwhile.
func (g *group1) kill() error {
	if folder := g.groups.folders[cgroup1.Pids]; folder != "" {
		_ = os.WriteFile(filepath.Join(folder, g.name, "pids.max"), []byte("0"), 0) // without it more rounds may be needed
	}
	return killEach(g, g.name)
}

// oomKills counts the processes of the cgroup that the kernel has ended for memory, whoever ran short of it.
func (g *group1) oomKills() (n uint64, known bool) {
	folder := g.groups.folders[cgroup1.Memory]
	if folder == "" {
		return 0, false
	}
	return counter(filepath.Join(folder, g.name, "memory.oom_control"), "oom_kill")
}

func (g *group1) countsSwap() bool {
	_, err := os.Stat(filepath.Join(g.groups.folders[cgroup1.Memory], g.name, "memory.memsw.limit_in_bytes"))
	return err == nil
}

func (g *group1) remove() error { return g.Delete() }

// Version 2: one folder.

type groups2 struct{ mount, parent string }

func (g *groups2) version() string { return "cgroup v2" }

func (g *groups2) memory() error    { return g.has("memory") }
func (g *groups2) processes() error { return g.has("pids") }

func (g *groups2) has(controller string) error {
	file := filepath.Join(g.mount, g.parent, "cgroup.controllers")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(text)), controller) {
		return fmt.Errorf("the %s controller is not in %s: enable it in cgroup.subtree_control of the folders above it (systemd: MemoryAccounting=yes, TasksAccounting=yes)", controller, file)
	}
	return nil
}

// mayMove says why processes may not be moved from here to a cgroup beside, or nil. The kernel asks for the right to write where both are.
func (g *groups2) mayMove() error {
	file := filepath.Join(g.mount, g.parent, "cgroup.procs")
	if err := mayWrite(file); err != nil {
		return fmt.Errorf("cgroup v2: write %s: %w", file, err)
	}
	return nil
}

func (g *groups2) make(name string, l Limits) (group, error) {
	resources := &cgroup2.Resources{}
	if g.memory() == nil {
		resources.Memory = &cgroup2.Memory{} // for its counters
		if l.Memory > 0 {
			resources.Memory.Max = &l.Memory
		}
	}
	if g.processes() == nil && l.Processes > 0 {
		resources.Pids = &cgroup2.Pids{Max: int64(l.Processes)}
	}
	made, err := cgroup2.NewManager(g.mount, path.Join(g.parent, name), resources)
	if err != nil {
		return nil, err
	}
	worker := &group2{made, filepath.Join(g.mount, g.parent, name)}
	if l.Memory > 0 && worker.countsSwap() { // a kernel without swap has no such file
		none := int64(0)
		if err := made.Update(&cgroup2.Resources{Memory: &cgroup2.Memory{Swap: &none}}); err != nil {
			_ = worker.remove() // nobody is in it
			return nil, err
		}
	}
	return worker, nil
}

func (g *groups2) open(name string) (group, error) {
	found, err := cgroup2.Load(path.Join(g.parent, name), cgroup2.WithMountpoint(g.mount))
	if err != nil {
		return nil, err
	}
	return &group2{found, filepath.Join(g.mount, g.parent, name)}, nil
}

func (g *groups2) leftover() []string { return named(filepath.Join(g.mount, g.parent)) }

type group2 struct {
	*cgroup2.Manager
	folder string
}

func (g *group2) add(pid int) error { return g.AddProc(uint64(pid)) }

func (g *group2) members() (pids []int, err error) {
	list, err := g.Procs(true)
	for _, p := range list {
		pids = append(pids, int(p))
	}
	return pids, err
}

func (g *group2) kill() error {
	if err := os.WriteFile(filepath.Join(g.folder, "cgroup.kill"), []byte("1"), 0); err != nil { // before Linux 5.14
		return killEach(g, filepath.Base(g.folder))
	}
	return nil
}

func (g *group2) oomKills() (n uint64, known bool) {
	return counter(filepath.Join(g.folder, "memory.events"), "oom_kill")
}

func (g *group2) countsSwap() bool {
	_, err := os.Stat(filepath.Join(g.folder, "memory.swap.max"))
	return err == nil
}

// remove takes those with it that the worker has made below. The kernel sees to it that nobody is in them; the library asks before, and cannot where there are threaded ones.
func (g *group2) remove() error { return os.RemoveAll(g.folder) }

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

func mayWrite(file string) error {
	return unix.Faccessat(unix.AT_FDCWD, file, unix.W_OK, unix.AT_EACCESS)
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
