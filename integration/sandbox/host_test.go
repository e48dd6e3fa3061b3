//go:build linux

package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
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
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// hostVar makes this program a host of its own.
const hostVar = "SANDBOX_TEST_HOST"

// A testimony is what such a host has seen.
type testimony struct {
	Strict   string // what New says with Strict
	Enforced []procpool.Restriction
	Stats    []string
	Logged   string
	Acts     map[string]string
	Workers  []int
}

func beHost() {
	var err error
	switch os.Getenv(hostVar) {
	case "plain":
		err = testify()
	case "doomed":
		err = awaitDoom(procpool.Config{Limits: procpool.Limits{Memory: 256 << 20, Processes: 64}}, stray)
	case "outlived":
		err = awaitDoom(procpool.Config{Sandbox: procpool.PureCPU}, cling)
	case "starting":
		err = keepStarting()
	case "lot":
		err = castLot()
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
	const files = 1000
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files}); err != nil {
		return err
	}
	config := procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, Sandbox: procpool.PureCPU, Limits: procpool.Limits{Memory: 256 << 20, OpenFiles: files + 1}}
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
	var log strings.Builder
	config.Logger = slog.New(slog.NewTextHandler(&log, nil))
	pool, err := procpool.New(config)
	if err != nil {
		return err
	}
	told.Logged = log.String()
	told.Enforced, told.Stats = pool.Enforced(), pool.Stats().NotEnforced
	if _, err := futures.Submit(context.Background(), pool, square, 1).Result(context.Background()); err != nil { // so that its thread would be there
		return err
	}
	for _, act := range unprivileged {
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

// awaitDoom has a worker do something and tell a pid, and waits to be killed.
func awaitDoom(config procpool.Config, do futures.Func[int, int]) error {
	config.Worker, config.MaxWorkers = procpool.Self(), 1
	pool, err := procpool.New(config)
	if err != nil {
		return err
	}
	pid, err := futures.Submit(context.Background(), pool, do, 0).Result(context.Background())
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
	clean(t)
	told := testimonyOf(t)
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
		"Sandbox.fork": seesCopies, "Sandbox.privileges": true, "Sandbox.descriptors": true, "Limits.Memory": false, "Limits.OpenFiles": false, "Limits.Core": true,
	}, active)
	lacks := []string{"Limits.Memory", "Limits.OpenFiles"}
	if !seesCopies {
		lacks = append(lacks, "Sandbox.fork")
	}
	assert.ElementsMatch(t, lacks, told.Stats)
	assert.Equal(t, len(told.Stats), strings.Count(told.Logged, "not enforced"), "%s", told.Logged)
	for _, name := range told.Stats {
		assert.Contains(t, told.Logged, "what="+name+" why=")
	}
	assert.Contains(t, told.Strict, "delegated", "it does not say what a human can do")
	assert.Len(t, told.Acts, len(unprivileged))
	for act, why := range told.Acts {
		assert.NotContains(t, why, "ERROR", act)
		if slices.Contains(copies, act) && !seesCopies {
			continue
		}
		assert.NotEmpty(t, why, "the sandbox does not stop it: %s", act)
	}
}

// unprivileged are acts of workers of such a host, which has no capability more than they have.
var unprivileged = []string{
	"open a pipe of the host", "read the host's environment", "write the host's memory", "take a descriptor of the host", "read a file", "make a file", "tcp socket", "unix socket", "execute",
	"execute in place", "fork", "start a copy of itself", "signal the host", "signal a thread of it", "signal by descriptor", "trace", "new user namespace", "io_uring", "limit the host",
}

// testimonyOf is what a host without privileges says.
func testimonyOf(t *testing.T) (told testimony) {
	t.Helper()
	host := exec.Command(publicCopy(t))
	host.Dir = "/"
	host.Env = []string{hostVar + "=plain", "DIR=/tmp", "PATH=/bin"}
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

	host, pidfd := doomedHost(t, "doomed")
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
	assert.True(t, remains.AwaitEndOf(t, pidfd, patience), "the stray is left")
	usable(t, living)
}

// doomedHost starts a host that waits to be killed, and opens the process that it tells of.
func doomedHost(t *testing.T, kind string) (host *exec.Cmd, pidfd int) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	host = exec.Command(self)
	host.Env = []string{hostVar + "=" + kind, "PATH=/bin"}
	host.Stderr = os.Stderr
	out, err := host.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, host.Start())
	t.Cleanup(func() {
		_ = host.Process.Kill() // it is dead, unless the test has failed
		_ = host.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	pidfd, err = unix.PidfdOpen(pid, 0)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, unix.Close(pidfd)) })
	return host, pidfd
}

// cling has a worker let go of all that could end it: the end of its requests, signals, the death of its parent, descriptors it may have.
var cling = futures.NewFunc("sandbox.Cling", func(context.Context, int) (int, error) {
	signal.Ignore()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		return 0, err
	}
	var endless [2]int
	if err := unix.Pipe2(endless[:], 0); err != nil {
		return 0, err
	}
	if err := unix.Dup3(endless[0], ipc.FDRequests, 0); err != nil {
		return 0, err
	}
	for fd := ipc.FDArena + 1; fd < 1024; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err == nil && fd != endless[0] && fd != endless[1] {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags&^unix.O_ASYNC) // fails for what cannot be told to
		}
	}
	return os.Getpid(), nil
})

// keepStarting has a worker started that does nothing but stay.
func keepStarting() error {
	config := procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, Sandbox: procpool.PureCPU, Env: []string{initVar + "=" + stay}}
	pool, err := procpool.New(config)
	if err != nil {
		return err
	}
	return futures.Submit(context.Background(), pool, square, 1).Err(context.Background())
}

// It cannot even at the moment of its start, when it has no lifeline yet.
func TestAHostThatIsKilledAsItStartsAWorkerLeavesNone(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("THIS PROCESSOR HAS NO SUCH PROMISE")
	}
	clean(t)
	sound(t, newPool(t, procpool.Config{Sandbox: procpool.PureCPU}))
	self, err := os.Executable()
	require.NoError(t, err)
	for n := range 40 {
		host := exec.Command(self)
		host.Env = []string{hostVar + "=starting", "PATH=/bin"}
		require.NoError(t, host.Start())
		var workers []int
		for ctx := bounded(t); len(workers) == 0 && ctx.Err() == nil; { // it is between fork and exec then, or a little behind
			workers = remains.Children(t, host.Process.Pid)
		}
		require.NoError(t, host.Process.Kill())
		_ = host.Wait() // it was killed, which is an error
		require.NotEmpty(t, workers)
		for _, pid := range workers {
			require.True(t, remains.AwaitEnd(t, pid, time.Second), "worker %d has outlived the %dth host", pid, n)
		}
	}
}

// A worker cannot outlive its host, whatever it does, whether it runs or is frozen: it has no part in what ends it.
func TestAHostileWorkerEndsWithItsHost(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		t.Run(fmt.Sprintf("frozen=%v", frozen), func(t *testing.T) {
			clean(t)
			sound(t, newPool(t, procpool.Config{Sandbox: procpool.PureCPU}))
			host, worker := doomedHost(t, "outlived")
			if frozen {
				require.NoError(t, unix.PidfdSendSignal(worker, unix.SIGSTOP, nil, 0))
			}
			assert.False(t, remains.AwaitEndOf(t, worker, 100*time.Millisecond), "it has ended before its host, so that it ends with it proves nothing")
			require.NoError(t, host.Process.Kill())
			assert.True(t, remains.AwaitEndOf(t, worker, time.Second), "it has outlived its host")
		})
	}
}
