package confine

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/cgroups/v3/cgroup2"
)

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
