//go:build linux

package sandbox

import (
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// stage sets up what hostile workers are after.
func stage(t *testing.T) scene {
	t.Helper()
	anchor = 42
	s := scene{Host: os.Getpid(), Anchor: uint64(uintptr(unsafe.Pointer(&anchor))), Threads: threadsOf(os.Getpid()), Dir: t.TempDir()}
	for _, name := range []string{"secret", "victim"} {
		require.NoError(t, os.WriteFile(filepath.Join(s.Dir, name), []byte("secret"), 0o600))
	}
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(s.Dir, "link")))
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s.TCP, s.UDP, s.Unix = tcp.Addr().String(), udp.LocalAddr().String(), filepath.Join(s.Dir, "s")
	local, err := net.Listen("unix", s.Unix)
	require.NoError(t, err)
	abstract, err := net.Listen("unix", "@"+s.Unix)
	require.NoError(t, err)
	grams, err := net.ListenPacket("unixgram", s.Unix+".gram")
	require.NoError(t, err)
	bystander := exec.Command("sleep", "1000")
	require.NoError(t, bystander.Start())
	s.Parent = bystander.Process.Pid
	t.Cleanup(func() {
		for _, c := range []interface{ Close() error }{tcp, udp, local, abstract, grams} {
			assert.NoError(t, c.Close())
		}
		assert.NoError(t, bystander.Process.Kill())
		_ = bystander.Wait() // it was killed, which is an error
	})
	return s
}

// Every act succeeds in a worker without a sandbox, and none in one that has nothing but its pipes. An act that cannot be done here
// at all proves nothing, and the test says so.
func TestAHostileWorkerCanDoNothing(t *testing.T) {
	for _, act := range slices.Sorted(maps.Keys(acts)) {
		t.Run(act, func(t *testing.T) {
			clean(t)
			free := newPool(t, procpool.Config{Env: []string{"PATH=/bin", "NO_SANDBOX=1"}})
			held := newPool(t, procpool.Config{Sandbox: procpool.PureCPU})
			sound(t, held)
			usable(t, held) // so that a thread that has started it would be there
			if !seesCopies && slices.Contains(copies, act) {
				t.Skip("A PROCESSOR OF 32 BITS DOES NOT TELL COPIES FROM STARTS")
			}
			s := stage(t)
			s.Act = act
			why, err := futures.Submit(bounded(t), held, attempt, s).Result(bounded(t))
			require.NoError(t, err)
			assert.NotEmpty(t, why, "the sandbox does not stop it")
			could, err := futures.Submit(bounded(t), free, attempt, s).Result(bounded(t))
			require.NoError(t, err)
			t.Logf("in the sandbox: %q; without: %q", why, could)
			assert.Empty(t, could, "nobody can do it here, so that a sandbox stops it proves nothing")
		})
	}
}

// The kernel can be asked to send a signal in the name of a pipe. It does for a worker that is free.
func TestAHostileWorkerCannotHaveTheKernelSignalTheHost(t *testing.T) {
	clean(t)
	arrived := make(chan os.Signal, 2)
	signal.Notify(arrived, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(arrived)
	held := newPool(t, procpool.Config{Sandbox: procpool.PureCPU})
	sound(t, held)
	free := newPool(t, procpool.Config{})
	s := stage(t)
	s.Act, s.Signal = "signal by owner of a pipe", int(unix.SIGUSR1)
	_, err := futures.Submit(bounded(t), held, attempt, s).Result(bounded(t))
	require.NoError(t, err)
	s.Signal = int(unix.SIGUSR2)
	_, err = futures.Submit(bounded(t), free, attempt, s).Result(bounded(t))
	require.NoError(t, err)
	select {
	case first := <-arrived: // they arrive in the order of their numbers
		assert.Equal(t, unix.SIGUSR2, first, "the signal of the worker in the sandbox has arrived")
	case <-time.After(patience):
		t.Error("no signal arrives at all, so that none came from the sandbox proves nothing")
	}
}

// What host and worker share cannot be executed, whether there is a sandbox or not.
func TestSharedMemoryCannotBeExecuted(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{Env: []string{"PATH=/bin"}})
	why, err := futures.Submit(bounded(t), pool, attempt, scene{Act: "execute from the arena"}).Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, unix.EACCES.Error(), why)
}

// What is in a package's initialiser runs before main, and is held as well.
func TestInitialisersAreHeldAsWell(t *testing.T) {
	for _, act := range []string{"read a file", "make a file", "tcp socket", "execute", "signal the host"} {
		t.Run(act, func(t *testing.T) {
			clean(t)
			s := stage(t)
			env := []string{initVar + "=" + act, "DIR=" + s.Dir, "PATH=/bin"}
			held := newPool(t, procpool.Config{Sandbox: procpool.PureCPU, Env: env})
			sound(t, held)
			why, err := futures.Submit(bounded(t), held, earlier, 0).Result(bounded(t))
			require.NoError(t, err)
			assert.NotEmpty(t, why, "an initialiser is not held")
			assert.NotEqual(t, "nothing was attempted", why)
			free := newPool(t, procpool.Config{Env: env})
			could, err := futures.Submit(bounded(t), free, earlier, 0).Result(bounded(t))
			require.NoError(t, err)
			assert.Empty(t, could, "nobody can do it here")
		})
	}
}

// A worker that cannot be held as it should be is not started, and nothing is left of the attempt.
func TestAWorkerThatCannotBeHeldIsNotStarted(t *testing.T) {
	clean(t)
	dir := filepath.Join(t.TempDir(), "granted")
	require.NoError(t, os.Mkdir(dir, 0o700))
	pool := newPool(t, procpool.Config{Sandbox: procpool.Sandbox{Read: []string{dir}}})
	sound(t, pool)
	require.NoError(t, os.Remove(dir))
	_, err := futures.Submit(bounded(t), pool, square, 1).Result(bounded(t))
	var failed *procpool.StartError
	require.ErrorAs(t, err, &failed)
	t.Log(failed)
	assert.Contains(t, failed.Reason, "Config.Sandbox")
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, dir)
	assert.Empty(t, pool.Stats().PIDs)
}
