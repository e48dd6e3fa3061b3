package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/opencontainers/runtime-spec/specs-go"
)

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
