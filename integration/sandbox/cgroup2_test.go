//go:build linux

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

const cgroups = "/sys/fs/cgroup"

// A place is where a host is among the cgroups of version 2: in own, which is in parent, which is in above.
type place struct{ above, parent, own string }

// newPlace makes one. Whoever is above has the controllers, and has given them to nobody yet.
func newPlace(t *testing.T) place {
	t.Helper()
	text, err := os.ReadFile(cgroups + "/cgroup.controllers")
	has := strings.Fields(string(text))
	if err != nil || os.Geteuid() != 0 || !slices.Contains(has, "memory") || !slices.Contains(has, "pids") {
		t.Skip("THE TEST TAKES ROOT AND A MACHINE WHOSE CONTROLLERS ARE THOSE OF CGROUP VERSION 2: see integration/vm")
	}
	give(t, cgroups, "+memory +pids")
	above, err := os.MkdirTemp(cgroups, "sandbox-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(above, 0o755))
	p := place{above: above, parent: filepath.Join(above, "parent"), own: filepath.Join(above, "parent", "own")}
	require.NoError(t, os.MkdirAll(p.own, 0o755))
	t.Cleanup(func() {
		left, err := filepath.Glob(p.parent + "/concurrent-*")
		require.NoError(t, err)
		assert.Empty(t, left, "cgroups are left")
		for _, folder := range []string{p.own, p.parent, p.above} {
			assert.NoError(t, os.Remove(folder))
		}
	})
	return p
}

// give changes what those below a cgroup get.
func give(t *testing.T, folder, controllers string) {
	t.Helper()
	require.NoError(t, os.WriteFile(folder+"/cgroup.subtree_control", []byte(controllers), 0))
}

const nobody = 65534

// delegate gives a cgroup to nobody, as systemd does it.
func (p place) delegate(t *testing.T) {
	t.Helper()
	for _, file := range []string{".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
		require.NoError(t, os.Chown(filepath.Join(p.parent, file), nobody, nobody))
	}
}

// occupy puts a process into the cgroup that is to be divided.
func (p place) occupy(t *testing.T) {
	t.Helper()
	squatter := exec.Command("sleep", "1000")
	squatter.SysProcAttr = p.in(t, p.parent)
	require.NoError(t, squatter.Start())
	t.Cleanup(func() {
		assert.NoError(t, squatter.Process.Kill())
		_ = squatter.Wait() // it was killed, which is an error
	})
}

// in has a process be born in a cgroup.
func (p place) in(t *testing.T, folder string) *syscall.SysProcAttr {
	t.Helper()
	fd, err := unix.Open(folder, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, unix.Close(fd)) })
	return &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
}

// A lot is what has become of a host and its workers at such a place.
type lot struct {
	Enforced map[string]procpool.Restriction
	Call     string // the error of a call that harms nobody
	Born     string // the cgroup of a worker before its main
	Eater    procpool.OOM
	Killed   procpool.OOM // of one that was killed by hand
	Bred     int          // processes that a worker could start
	Nest     string       // the error of a worker that made cgroups in its own
}

// castLot finds out.
func castLot() error {
	var l lot
	pool, err := procpool.New(procpool.Config{
		Worker: procpool.Self(), MaxWorkers: 1, OnCrash: procpool.ReplaceWorker, Env: []string{"PATH=/bin:/usr/bin"},
		Limits: procpool.Limits{Memory: 128 << 20, Processes: 40},
	})
	if err != nil {
		return err
	}
	l.Enforced = make(map[string]procpool.Restriction)
	for _, r := range pool.Enforced() {
		l.Enforced[r.Name] = r
	}
	if _, err := call(pool, square, 7); err != nil {
		l.Call = err.Error()
	}
	if l.Enforced["Limits.Memory"].Active && l.Enforced["Limits.Processes"].Active {
		if err := l.suffer(pool); err != nil {
			return err
		}
	}
	if err := pool.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(l)
}

func call[In, Out any](pool *procpool.ProcessPoolExecutor, f futures.Func[In, Out], in In, options ...futures.CallOption) (Out, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return futures.Submit(ctx, pool, f, in, options...).Result(ctx)
}

func (l *lot) suffer(pool *procpool.ProcessPoolExecutor) error {
	b, err := call(pool, bounds, 0)
	if err != nil {
		return err
	}
	l.Born = b.Cgroups
	verdict := func(err error) procpool.OOM {
		var crash *procpool.WorkerCrashError
		if !errors.As(err, &crash) || crash.Signal != unix.SIGKILL {
			panic(fmt.Sprintf("the worker was not killed: %v", err))
		}
		return crash.OOM
	}
	if l.Nest, err = call(pool, nest, 0); err != nil {
		return err
	}
	_, err = call(pool, exhaust, greed{What: "memory", Most: 400})
	l.Eater = verdict(err)
	_, err = call(pool, exhaust, greed{What: "suicide"})
	l.Killed = verdict(err)
	got, err := call(pool, exhaust, greed{What: "processes", Most: 100})
	if err != nil {
		return err
	}
	_, _ = call(pool, exhaust, greed{What: "bomb"}, futures.Timeout(500*time.Millisecond)) // whatever it says, nothing may be left
	_, err = fmt.Sscan(got, &l.Bred)
	return err
}

// nest makes cgroups in the worker's own, one of them of threads, and has a process in each, in sessions of their own.
var nest = futures.NewFunc("sandbox.Nest", func(context.Context, int) (string, error) {
	own := cgroups + strings.TrimSpace(strings.TrimPrefix(born.Cgroups, "0::"))
	threaded := filepath.Join(own, "deeper", "threaded")
	if err := os.MkdirAll(threaded, 0o755); err != nil {
		return err.Error(), nil
	}
	if err := os.WriteFile(threaded+"/cgroup.type", []byte("threaded"), 0); err != nil {
		return err.Error(), nil
	}
	deeper := filepath.Dir(threaded)
	for _, way := range [][]string{nil, {deeper}, {deeper, threaded}} { // whoever is to be threaded must be in the domain first
		cmd := exec.Command("/bin/sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return err.Error(), nil
		}
		for _, folder := range way {
			if err := os.WriteFile(folder+"/cgroup.procs", []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
				return err.Error(), nil
			}
		}
	}
	return "", nil
})

// lotOf is what becomes of a host.
func lotOf(t *testing.T, host *exec.Cmd) (l lot) {
	t.Helper()
	host.Dir = "/"
	host.Env = append(host.Env, hostVar+"=lot", "PATH=/bin:/usr/bin")
	host.Stderr = os.Stderr
	out, err := host.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &l), "%s", out)
	for _, r := range l.Enforced {
		t.Log(r)
	}
	assert.Empty(t, l.Call, "the pool is of no use")
	return l
}

// Limits hold, and the verdicts are right, for root and for a user to whom the parent is delegated.
func TestCgroup2WhereItIsDelegated(t *testing.T) {
	program := publicCopy(t)
	for name, user := range map[string]bool{"root": false, "user": true} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			p := newPlace(t)
			give(t, p.above, "+memory +pids")
			host := exec.Command(program)
			host.SysProcAttr = p.in(t, p.own)
			if user {
				p.delegate(t)
				host.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
			}
			l := lotOf(t, host)
			assert.Equal(t, procpool.Restriction{Name: "Limits.Memory", Active: true, How: "cgroup v2, swap included"}, l.Enforced["Limits.Memory"])
			assert.Equal(t, procpool.Restriction{Name: "Limits.Processes", Active: true, How: "cgroup v2"}, l.Enforced["Limits.Processes"])
			assert.Contains(t, l.Born, strings.TrimPrefix(p.parent, cgroups)+"/concurrent-")
			assert.Equal(t, procpool.OOMKilled, l.Eater)
			assert.Equal(t, procpool.NotOOM, l.Killed)
			assert.Less(t, l.Bred, 40)
			assert.Greater(t, l.Bred, 5)
			assert.Empty(t, l.Nest)
		})
	}
}

// Where workers cannot be put into cgroups, that is said, with what would help, and the pool does without.
func TestCgroup2WhereItIsNotDelegated(t *testing.T) {
	program := publicCopy(t)
	for name, c := range map[string]struct {
		user    bool
		arrange func(t *testing.T, p place)
		says    []string
	}{
		"nothing is the user's": {true, func(t *testing.T, p place) { give(t, p.above, "+memory +pids") }, []string{"permission denied", "Delegate=yes"}},
		"nobody may be moved": {true, func(t *testing.T, p place) {
			give(t, p.above, "+memory +pids")
			p.delegate(t)
			require.NoError(t, os.Chown(p.parent+"/cgroup.procs", 0, 0))
		}, []string{"cgroup.procs", "permission denied", "Delegate=yes"}},
		"the parent has processes of its own": {false, func(t *testing.T, p place) {
			give(t, p.above, "+memory +pids")
			p.occupy(t)
		}, []string{"busy", "DelegateSubgroup="}},
		"the controllers are not for the parent": {false, func(*testing.T, place) {}, []string{"controller is not in", "cgroup.subtree_control"}},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			p := newPlace(t)
			c.arrange(t, p)
			host := exec.Command(program)
			host.SysProcAttr = p.in(t, p.own)
			if c.user {
				host.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
			}
			l := lotOf(t, host)
			for _, name := range []string{"Limits.Memory", "Limits.Processes"} {
				assert.False(t, l.Enforced[name].Active, name)
				for _, s := range c.says {
					assert.Contains(t, l.Enforced[name].How, s)
				}
			}
		})
	}
}

// In a container the root of the cgroups is not that of the machine: it cannot be divided while there is somebody in it.
func TestCgroup2InAContainer(t *testing.T) {
	program := publicCopy(t)
	for mode, says := range map[string]string{"rw": "busy", "ro": "read-only"} {
		t.Run(mode, func(t *testing.T) {
			clean(t)
			p := newPlace(t)
			give(t, p.above, "+memory +pids")
			give(t, p.parent, "+memory +pids")
			host := exec.Command("/bin/sh", "-c", "mount --make-rprivate / && umount -l "+cgroups+" && mount -t cgroup2 -o "+mode+" cgroup2 "+cgroups+" && exec "+program)
			host.SysProcAttr = p.in(t, p.own)
			host.SysProcAttr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP
			l := lotOf(t, host)
			for _, name := range []string{"Limits.Memory", "Limits.Processes"} {
				assert.False(t, l.Enforced[name].Active, name)
				assert.Contains(t, l.Enforced[name].How, says)
				assert.Contains(t, l.Enforced[name].How, "container")
			}
		})
	}
}
