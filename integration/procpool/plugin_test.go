//go:build linux

package procpool_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "unsafe" // for go:linkname

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// The handshake is go-plugin's own: an unmodified client starts a worker that has never heard of this package.
func TestAnUnmodifiedPluginClientStartsAWorker(t *testing.T) {
	goPlugin := func(t *testing.T, cookie string) (*plugin.Client, *ipc.Reader, *os.File) {
		childRequests, requests, err := os.Pipe()
		require.NoError(t, err)
		responses, childResponses, err := os.Pipe()
		require.NoError(t, err)
		t.Cleanup(func() {
			assert.NoError(t, childRequests.Close())
			assert.NoError(t, childResponses.Close())
			assert.NoError(t, responses.Close())
		})
		self, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.Command(self)
		cmd.Env = []string{startVar + "=main"}
		cmd.ExtraFiles = []*os.File{childRequests, childResponses}
		client := plugin.NewClient(&plugin.ClientConfig{
			HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: ipc.Version, MagicCookieKey: ipc.CookieKey, MagicCookieValue: cookie},
			Plugins:         plugin.PluginSet{},
			Cmd:             cmd,
			Logger:          hclog.NewNullLogger(),
			StartTimeout:    patience,
		})
		require.NoError(t, responses.SetReadDeadline(time.Now().Add(patience)))
		return client, ipc.NewReader(responses, ipc.MaxHello), requests
	}

	t.Run("shakes hands", func(t *testing.T) {
		clean(t)
		client, frames, requests := goPlugin(t, ipc.CookieValue)
		t.Cleanup(client.Kill)
		addr, err := client.Start()
		require.NoError(t, err)
		assert.Equal(t, "unix", addr.Network())
		assert.Equal(t, ipc.Version, client.NegotiatedVersion())
		assert.Equal(t, plugin.ProtocolNetRPC, client.Protocol())

		body, err := frames.Next()
		require.NoError(t, err)
		m, err := ipc.ParseMessage(body)
		require.NoError(t, err)
		require.Equal(t, ipc.Hello, string(m.Name))
		var hello ipc.HelloParam
		require.NoError(t, ipc.DecodeParam(m.Value, &hello))
		assert.Equal(t, client.ID(), strconv.Itoa(hello.PID))
		assert.NotContains(t, hello.Features, ipc.FeatureClaims, "there is no claim table")

		greeting := ipc.AppendNotification(nil, ipc.Welcome, ipc.WelcomeParam{Protocol: ipc.Version, MaxBody: ipc.MaxBody})
		text := "by hand"
		arg, err := ipc.AppendValue(nil, &text)
		require.NoError(t, err)
		_, err = requests.Write(ipc.AppendRequest(greeting, 1, echo.Name(), ipc.Meta{}, arg))
		require.NoError(t, err)
		body, err = frames.Next()
		require.NoError(t, err)
		m, err = ipc.ParseMessage(body)
		require.NoError(t, err)
		assert.Empty(t, m.Failure)
		var got string
		require.NoError(t, ipc.DecodeValue(m.Value, &got))
		assert.Equal(t, "by hand", got)

		require.NoError(t, requests.Close(), "which is the worker's leave")
		assert.True(t, remains.AwaitEnd(t, hello.PID, patience), "the worker does not go when its requests end")
	})

	t.Run("does not with another cookie", func(t *testing.T) {
		clean(t)
		client, _, requests := goPlugin(t, "another")
		_, err := client.Start()
		require.Error(t, err, "the worker took the cookie of another project")
		require.NoError(t, requests.Close())
		client.Kill()
	})
}

func TestTheWorkerPackageLinksNeitherGoPluginNorGRPC(t *testing.T) {
	clean(t)
	out, err := exec.CommandContext(bounded(t), "go", "list", "-deps", "../../worker").CombinedOutput()
	require.NoError(t, err, string(out))
	deps := strings.Fields(string(out))
	require.Contains(t, deps, "github.com/seed7d1be1d5/concurrent/ipc")
	for _, d := range deps {
		assert.NotContains(t, d, "go-plugin")
		assert.NotContains(t, d, "grpc")
		assert.NotContains(t, d, "yamux")
		assert.NotContains(t, d, "hclog")
	}
}

// managedClients is where go-plugin keeps every client that was made with Managed, for ever.
//
//go:linkname managedClients github.com/hashicorp/go-plugin.managedClients
var managedClients []*plugin.Client

// G8, G10, G11, G17: what go-plugin leaves behind for each worker that comes and goes. clean counts goroutines, descriptors
// and temporary entries.
func TestWorkersThatComeAndGoLeaveNothingBehind(t *testing.T) {
	clean(t)
	sockets := unixSockets(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
	ctx := bounded(t)
	for range 3 {
		_, err := futures.Submit(ctx, pool, perish, fate{"signal", 9}).Result(ctx)
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, err, &crash)
		_, err = futures.Submit(ctx, pool, echo, "").Result(ctx)
		require.NoError(t, err)
	}
	entries, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	assert.Empty(t, entries, "a worker keeps a temporary entry while it lives")
	assert.Equal(t, sockets, unixSockets(t), "a worker listens on a socket")
	mustClose(t, pool)
	assert.Empty(t, managedClients, "go-plugin keeps a client for each worker")
}

// unixSockets counts the unix sockets that have a name.
func unixSockets(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/unix")
	require.NoError(t, err)
	return bytes.Count(text, []byte("plugin"))
}

// G5: a stranger that holds the worker's output holds up nobody.
func TestAGrandchildThatHoldsTheOutputHoldsUpNobody(t *testing.T) {
	for _, c := range []struct {
		name   string
		escape bool
		perish fate
	}{
		{"in the group, worker killed", false, fate{"signal", 9}},
		{"in the group, worker closed", false, fate{}},
		{"outside the group, worker killed", true, fate{"signal", 9}},
		{"outside the group, worker closed", true, fate{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			g := newGate(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1})
			f := futures.Submit(context.Background(), pool, grandchild, lineage{Gate: g.path, Escape: c.escape, Perish: c.perish, Seconds: "1000"})
			pid := g.pid()
			if c.escape {
				t.Cleanup(func() { assert.NoError(t, unix.Kill(pid, unix.SIGKILL), "it has gone, and tested nothing") })
			}
			_, err := f.Result(bounded(t))
			if c.perish.Way != "" {
				require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
			} else {
				require.NoError(t, err)
			}
			began := time.Now()
			mustClose(t, pool)
			assert.Less(t, time.Since(began), 5*time.Second)
			if !c.escape {
				assert.True(t, remains.AwaitEnd(t, pid, 2*time.Second), "the grandchild outlives the worker")
			}
		})
	}
}

// G6: nothing stops reading what a worker prints, however much and without a newline.
func TestAFloodWithoutANewlineBlocksNobody(t *testing.T) {
	for _, fd := range []int{1, 2} {
		t.Run("fd "+strconv.Itoa(fd), func(t *testing.T) {
			clean(t)
			const size = 400 << 10
			var out sink
			pool := newPool(t, procpool.Config{MaxWorkers: 1, Stderr: &out})
			n, err := futures.Submit(context.Background(), pool, flood, flooding{fd, size}).Result(bounded(t))
			require.NoError(t, err)
			assert.Equal(t, size, n)
			mustClose(t, pool)
			assert.Equal(t, size, strings.Count(out.String(), "x"))
		})
	}
}

// G9: a panic is the call's failure, with its message and its stack, and the worker goes on.
func TestAPanicIsTheCallsFailure(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	ctx := bounded(t)
	before, err := futures.Submit(ctx, pool, pid, none{}).Result(ctx)
	require.NoError(t, err)
	_, err = futures.Submit(ctx, pool, fail, "panic").Result(ctx)
	var failed *futures.TaskError
	require.ErrorAs(t, err, &failed)
	assert.True(t, failed.Panicked)
	assert.Equal(t, "a remote panic", failed.Message)
	assert.Equal(t, "test.Fail", failed.Func)
	assert.Contains(t, failed.Stack, "panicDeepInside")
	assert.Contains(t, failed.Stack, "workers_test.go:")
	after, err := futures.Submit(ctx, pool, pid, none{}).Result(ctx)
	require.NoError(t, err)
	assert.Equal(t, before, after, "a panic cost the worker")
}

// G12: go-plugin would hand the host's standard input to the worker.
func TestStandardInputIsNotTheHosts(t *testing.T) {
	clean(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	_, err = w.WriteString("a secret of the host")
	require.NoError(t, err)
	saved, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 10)
	require.NoError(t, err)
	require.NoError(t, unix.Dup3(int(r.Fd()), 0, 0))
	t.Cleanup(func() {
		assert.NoError(t, unix.Dup3(saved, 0, 0))
		assert.NoError(t, unix.Close(saved))
		assert.NoError(t, r.Close())
		assert.NoError(t, w.Close())
	})
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	name, err := futures.Submit(context.Background(), pool, stdinOf, none{}).Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, os.DevNull, name)
}

// G13: what makes a worker a worker does not reach those that it starts.
func TestAGrandchildDoesNotTakeItselfForAWorker(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Env: append(os.Environ(), "KEPT=yes")})
	ctx := bounded(t)
	env, err := futures.Submit(ctx, pool, shell, "env").Result(ctx)
	require.NoError(t, err)
	assert.Contains(t, env, "KEPT=yes")
	assert.NotContains(t, env, ipc.CookieKey)
	assert.NotContains(t, env, "PLUGIN_")
	out, err := futures.Submit(ctx, pool, runSelf, []string{"-test.list=^TestAGrandchildDoes"}).Result(ctx)
	require.NoError(t, err, out)
	assert.Contains(t, out, t.Name())
	// Nor do the descriptors of the calls, which would keep the host from seeing the worker's end.
	fds, err := futures.Submit(ctx, pool, shell, "for fd in 3 4 5; do readlink /proc/$$/fd/$fd; done; true").Result(ctx)
	require.NoError(t, err)
	assert.Empty(t, fds)
}

// A worker must not hold descriptors of its siblings, or of anything else in the host.
func TestAWorkerInheritsItsOwnDescriptorsOnly(t *testing.T) {
	clean(t)
	secret, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, secret.Close()) })
	g := newGate(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 3})
	for range 3 {
		futures.Submit(context.Background(), pool, hold, held{Gate: g.path})
	}
	owners := make(map[string]int)
	for range 3 {
		pid := g.pid()
		for fd := range 5 {
			to, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/" + strconv.Itoa(fd))
			require.NoError(t, err)
			if strings.HasPrefix(to, "pipe:") {
				assert.NotContains(t, owners, to, "workers %d and %d share a pipe", owners[to], pid)
				owners[to] = pid
			}
		}
		entries, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
		require.NoError(t, err)
		for _, e := range entries {
			to, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/" + e.Name())
			require.NoError(t, err)
			assert.NotContains(t, to, "procpool.test", "a worker holds a descriptor of the host")
		}
	}
	assert.Len(t, owners, 3*4)
	g.open(3)
}

// Lines in the format of hclog keep their level, as with go-plugin.
func TestLinesOfHclogKeepTheirLevel(t *testing.T) {
	clean(t)
	log := newJournal()
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Logger: slog.New(log)})
	line := `{"@level":"error","@message":"disk is full","@timestamp":"2024-01-01T00:00:00.000000Z"}`
	_, err := futures.Submit(context.Background(), pool, printLines, []string{line}).Result(bounded(t))
	require.NoError(t, err)
	mustClose(t, pool)
	records := log.find("disk is full")
	require.Len(t, records, 1)
	assert.Equal(t, "ERROR", records[0].Level.String())
}

// Lines that are like those of hclog and have something else where text should be are lines like any other.
func TestLinesThatAreAlmostThoseOfHclogHarmNobody(t *testing.T) {
	clean(t)
	log := newJournal()
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Logger: slog.New(log)})
	lines := []string{`{"@message":5}`, `{"@level":null,"@message":"m"}`, `{"@level":"info","@message":"m","@timestamp":[]}`}
	_, err := futures.Submit(context.Background(), pool, printLines, lines).Result(bounded(t))
	require.NoError(t, err)
	mustClose(t, pool)
	assert.Len(t, log.find(lines[0]), 1)
	assert.Len(t, log.find(lines[1]), 1)
	assert.Len(t, log.find("m"), 1)
}
