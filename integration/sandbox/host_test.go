//go:build linux

package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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

// hostVar makes this program a host of its own.
const hostVar = "SANDBOX_TEST_HOST"

// unseenVar has it keep others from looking into it.
const unseenVar = "SANDBOX_TEST_UNSEEN"

// A testimony is what such a host has seen.
type testimony struct {
	Strict   string // what New says with Strict
	Enforced []procpool.Restriction
	Stats    []string
	Acts     map[string]string
	Workers  []int
}

func beHost() {
	var err error
	switch os.Getenv(hostVar) {
	case "plain":
		err = testify()
	case "doomed":
		err = awaitDoom()
	default:
		err = errors.New("no such host")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// testify tells what a sandbox is to a host without privileges.
func testify() error {
	if os.Getenv(unseenVar) != "" {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return err
		}
	}
	config := procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, Sandbox: procpool.PureCPU, Limits: procpool.Limits{Memory: 256 << 20, OpenFiles: 1 << 30}}
	strict := config
	strict.Strict = true
	told := testimony{Acts: make(map[string]string)}
	if pool, err := procpool.New(strict); err == nil {
		told.Strict = "it was made"
		_ = pool.Close()
	} else {
		if !errors.Is(err, procpool.ErrNotEnforced) {
			return err
		}
		told.Strict = err.Error()
	}
	pool, err := procpool.New(config)
	if err != nil {
		return err
	}
	told.Enforced, told.Stats = pool.Enforced(), pool.Stats().NotEnforced
	if _, err := futures.Submit(context.Background(), pool, square, 1).Result(context.Background()); err != nil { // so that its thread is there
		return err
	}
	for _, act := range []string{openPipe, "read a file", "make a file", "tcp socket", "unix socket", "execute", "execute in place", "signal the host", "trace", "new user namespace", "io_uring", "limit the host"} {
		s := scene{Act: act, Host: os.Getpid(), Threads: append([]int{os.Getpid()}, threadsOf(os.Getpid())...), Parent: os.Getppid(), Dir: os.Getenv("DIR")}
		why, err := futures.Submit(context.Background(), pool, attempt, s).Result(context.Background())
		if err != nil {
			why = "ERROR: " + err.Error()
		}
		told.Acts[act] = why
	}
	if err := pool.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}

// awaitDoom starts workers, one of which has a child in a session of its own, and waits to be killed.
func awaitDoom() error {
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, Limits: procpool.Limits{Memory: 256 << 20, Processes: 64}})
	if err != nil {
		return err
	}
	pid, err := futures.Submit(context.Background(), pool, stray, 0).Result(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(pid)
	select {}
}

// stray starts a process that nobody ends with its group.
var stray = futures.NewFunc("sandbox.Stray", func(context.Context, int) (int, error) {
	cmd := exec.Command("/bin/sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
})

// publicCopy copies this program to where every user can execute it.
func publicCopy(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sandbox-test")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	self, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer self.Close()
	path := filepath.Join(dir, "host")
	copied, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(copied, self)
	require.NoError(t, errors.Join(err, copied.Close()))
	return path
}

// A sandbox needs no privileges. What a host without them cannot have is said, by Enforced and by Stats, and Strict
// refuses it with what a human can do.
func TestAHostWithoutPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("THE TEST TAKES ROOT TO BECOME SOMEBODY ELSE")
	}
	for name, unseen := range map[string]bool{"as it comes": false, "that nobody may look into": true} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			told := testimonyOf(t, unseen)
			active := make(map[string]bool)
			for _, r := range told.Enforced {
				t.Log(r)
				active[r.Name] = r.Active
				assert.NotEmpty(t, r.How)
				assert.Equal(t, !r.Active, strings.Contains(told.Strict, "\n\t"+r.Name+": "), "Strict says nothing of %s, or too much: %s", r.Name, told.Strict)
			}
			if !active["Sandbox.Read"] || !active["Sandbox.Network"] || !active["Sandbox.signals"] {
				t.Skip("THIS MACHINE HAS NO LANDLOCK OR NO SECCOMP")
			}
			assert.Equal(t, map[string]bool{
				"Sandbox.Read": true, "Sandbox.Write": true, "Sandbox.signals": true, "Sandbox.Network": true, "Sandbox.system calls": true, "Sandbox.Exec": true,
				"Sandbox.fork": false, "Sandbox.privileges": true, "Sandbox.descriptors": unseen, "Limits.Memory": false, "Limits.OpenFiles": false, "Limits.Core": true,
			}, active)
			lacks := []string{"Sandbox.fork", "Limits.Memory", "Limits.OpenFiles"}
			if !unseen {
				lacks = append(lacks, "Sandbox.descriptors")
			}
			assert.ElementsMatch(t, lacks, told.Stats)
			assert.Contains(t, told.Strict, "delegated", "it does not say what a human can do")
			assert.Len(t, told.Acts, 12)
			for act, why := range told.Acts {
				assert.NotContains(t, why, "ERROR", act)
				if act == openPipe && !unseen {
					assert.Empty(t, why, "nobody needs to be told of it")
					continue
				}
				assert.NotEmpty(t, why, "the sandbox does not stop it: %s", act)
			}
		})
	}
}

const openPipe = "open a pipe of the host"

// testimonyOf is what a host without privileges says.
func testimonyOf(t *testing.T, unseen bool) (told testimony) {
	t.Helper()
	host := exec.Command(publicCopy(t))
	host.Dir = "/"
	host.Env = []string{hostVar + "=plain", "DIR=/tmp", "PATH=/bin"}
	if unseen {
		host.Env = append(host.Env, unseenVar+"=1")
	}
	host.Stderr = os.Stderr
	host.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := host.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &told), "%s", out)
	return told
}

// A host that is killed ends nobody's strays. The next pool of anybody who may does, and knows them by the host's pid and start.
func TestTheNextPoolClearsUpAfterAHostThatWasKilled(t *testing.T) {
	clean(t)
	probe := limited(t, procpool.Limits{Memory: 256 << 20})
	mustClose(t, probe)

	self, err := os.Executable()
	require.NoError(t, err)
	host := exec.Command(self)
	host.Env = []string{hostVar + "=doomed", "PATH=/bin"}
	host.Stderr = os.Stderr
	out, err := host.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, host.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	stray, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	pidfd, err := unix.PidfdOpen(stray, 0)
	require.NoError(t, err)
	defer unix.Close(pidfd)

	living := limited(t, procpool.Limits{Memory: 256 << 20}) // takes nothing from a host that lives
	usable(t, living)
	assert.NotEmpty(t, cgroupsOf(t, host.Process.Pid))
	require.NoError(t, unix.PidfdSendSignal(pidfd, 0, nil, 0), "the stray of a living host was ended")

	require.NoError(t, host.Process.Kill())
	_ = host.Wait() // it was killed, which is an error
	assert.NotEmpty(t, cgroupsOf(t, host.Process.Pid), "nothing is left, so that it goes proves nothing")
	next, err := procpool.New(procpool.Config{Worker: procpool.Self(), Limits: procpool.Limits{Memory: 256 << 20}})
	require.NoError(t, err)
	defer func() { mustClose(t, next) }()
	assert.Empty(t, cgroupsOf(t, host.Process.Pid), "its cgroups are left")
	poll := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, int(patience/time.Millisecond))
	require.NoError(t, err)
	assert.Equal(t, 1, n, "the stray is left")
	usable(t, living)
}
