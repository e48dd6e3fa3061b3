//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

var workerFuncs = []futures.Callable{attempt, earlier, environment, run, square, exhaust, leak, stray, bounds, abort, guess, cling, nest, undie, announce}

var environment = futures.NewFunc("sandbox.Environment", func(context.Context, int) ([]string, error) { return os.Environ(), nil })

var run = futures.NewFunc("sandbox.Run", func(_ context.Context, args []string) (string, error) {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	return string(out), err
})

var square = futures.NewFunc("sandbox.Square", func(_ context.Context, n int) (int, error) { return n * n, nil })

// tried is what a worker in a sandbox says of an act.
func tried(t *testing.T, box procpool.Sandbox, s scene) string {
	t.Helper()
	pool := newPool(t, procpool.Config{Sandbox: box, Env: []string{"PATH=/bin"}})
	sound(t, pool)
	usable(t, pool)
	s.Threads = threadsOf(os.Getpid()) // with the one that has started it, if it were there
	why, err := futures.Submit(bounded(t), pool, attempt, s).Result(bounded(t))
	require.NoError(t, err)
	return why
}

func TestWhatIsGrantedCanBeDoneAndNoMore(t *testing.T) {
	other := t.TempDir()
	type box = procpool.Sandbox
	for n, c := range []struct {
		act     string
		box     func(s scene, other string) box
		allowed bool
	}{
		{"read a file of its own user", func(s scene, other string) box { return box{Read: []string{s.Dir}} }, true},
		{"read a file of its own user", func(s scene, other string) box { return box{Read: []string{filepath.Join(s.Dir, "secret")}} }, true},
		{"read a file of its own user", func(s scene, other string) box { return box{Read: []string{other}} }, false},
		{"read a file", func(s scene, other string) box { return box{Read: []string{s.Dir}} }, false},
		{"read through a link", func(s scene, other string) box { return box{Read: []string{s.Dir}} }, false},
		{"append to a file", func(s scene, other string) box { return box{Read: []string{s.Dir}} }, false},
		{"make a file", func(s scene, other string) box { return box{Read: []string{s.Dir}} }, false},
		{"make a file", func(s scene, other string) box { return box{Write: []string{s.Dir}} }, true},
		{"append to a file", func(s scene, other string) box { return box{Write: []string{s.Dir}} }, true},
		{"read a file of its own user", func(s scene, other string) box { return box{Write: []string{s.Dir}} }, true},
		{"make a device", func(s scene, other string) box { return box{Write: []string{s.Dir}} }, false},
		{"change a mode", func(s scene, other string) box { return box{Write: []string{s.Dir}} }, false},
		{"make a file", func(s scene, other string) box { return box{Write: []string{other}} }, false},
		{"dial tcp", func(s scene, other string) box { return box{Network: true} }, true},
		{"dial udp", func(s scene, other string) box { return box{Network: true} }, true},
		{"listen", func(s scene, other string) box { return box{Network: true} }, true},
		{"dial unix", func(s scene, other string) box { return box{Network: true} }, false},
		{"dial abstract unix", func(s scene, other string) box { return box{Network: true} }, false},
		{"datagram of a pair to an address", func(s scene, other string) box { return box{Network: true} }, false},
		{"netlink socket", func(s scene, other string) box { return box{Network: true} }, true},
		{"socket for the kernel's events", func(s scene, other string) box { return box{Network: true} }, false},
		{"raw socket", func(s scene, other string) box { return box{Network: true} }, false},
		{"read a file", func(s scene, other string) box { return box{Network: true} }, false},
		{"execute", func(s scene, other string) box { return box{Exec: true} }, false},
		{"execute", func(s scene, other string) box { return box{Read: []string{"/bin", "/lib", "/lib64", "/usr"}} }, false},
		{"execute", func(s scene, other string) box {
			return box{Exec: true, Read: []string{"/bin", "/lib", "/lib64", "/usr"}}
		}, true},
		{"execute in place", func(s scene, other string) box { return box{Read: []string{"/bin", "/lib", "/lib64", "/usr"}} }, false},
		{"execute what it has written", func(s scene, other string) box { return box{Exec: true, Write: []string{s.Dir}} }, false},
		{"signal by descriptor", func(s scene, other string) box { return box{Exec: true} }, false},
		{"start a copy of itself", func(s scene, other string) box { return box{Exec: true} }, true},
		{"new user namespace", func(s scene, other string) box { return box{Exec: true} }, false},
		{"give its host a child", func(s scene, other string) box { return box{Exec: true} }, false},
		{"end a child", func(s scene, other string) box { return box{Exec: true} }, true},
		{"end a child", func(s scene, other string) box {
			return box{Exec: true, Read: []string{s.Dir, "/proc/meminfo"}}
		}, true},
		{"signal a thread by its folder", func(s scene, other string) box { return box{Exec: true, Read: []string{"/"}} }, false},
		{"end a child", func(s scene, other string) box { return box{Exec: true, Read: []string{"/"}} }, true},
		{"signal a thread by its folder", func(s scene, other string) box { return box{Exec: true, Write: []string{"/proc/self/.."}} }, false},
		{"take a terminal", func(s scene, other string) box { return box{Read: []string{"/dev"}} }, false},
		{"fork with a user's room", func(s scene, other string) box { return box{Exec: true} }, false},
		{"signal the host", func(s scene, other string) box {
			return box{Exec: true, Network: true, Read: []string{"/"}, Write: []string{"/"}}
		}, false},
		{"trace", func(s scene, other string) box {
			return box{Exec: true, Network: true, Read: []string{"/"}, Write: []string{"/"}}
		}, false},
		{"read the host's environment", func(s scene, other string) box { return box{Read: []string{"/"}} }, false},
	} {
		t.Run(fmt.Sprintf("%d %s", n, c.act), func(t *testing.T) {
			clean(t)
			s := stage(t)
			s.Act = c.act
			if why := tried(t, c.box(s, other), s); c.allowed {
				assert.Empty(t, why)
			} else {
				assert.NotEmpty(t, why, "it was not granted")
			}
		})
	}
}

// A program that was started in a sandbox is in it.
func TestProgramsOfAWorkerAreHeldAsWell(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{Sandbox: procpool.Sandbox{Exec: true, Read: []string{"/bin", "/lib", "/lib64", "/usr"}}, Env: []string{"PATH=/bin:/usr/bin"}})
	sound(t, pool)
	out, err := futures.Submit(bounded(t), pool, run, []string{"/bin/sh", "-c", "echo hello; cat /etc/passwd"}).Result(bounded(t))
	require.Error(t, err)
	assert.Contains(t, err.Error(), "exit status")
	_ = out
	out, err = futures.Submit(bounded(t), pool, run, []string{"/bin/sh", "-c", "echo hello; cat /etc/passwd; true"}).Result(bounded(t))
	require.NoError(t, err)
	assert.Contains(t, out, "hello\n")
	assert.Contains(t, out, "ermission denied")
	assert.NotContains(t, out, "root:")
}

func TestTheEnvironmentIsWhatIsNamed(t *testing.T) {
	clean(t)
	t.Setenv("SECRET_TOKEN", "of the host")
	pool := newPool(t, procpool.Config{Sandbox: procpool.PureCPU, Limits: procpool.Limits{Memory: 1000 << 20}, Env: []string{"NAMED=yes"}})
	env, err := futures.Submit(bounded(t), pool, environment, 0).Result(bounded(t))
	require.NoError(t, err)
	assert.Contains(t, env, "NAMED=yes")
	assert.Contains(t, env, fmt.Sprintf("GOMEMLIMIT=%d", 900<<20))
	assert.True(t, slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "GOMAXPROCS=") }), "%v", env)
	assert.NotContains(t, env, "SECRET_TOKEN=of the host")

	bare, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, Sandbox: procpool.PureCPU})
	require.NoError(t, err)
	defer func() { mustClose(t, bare) }()
	env, err = futures.Submit(bounded(t), bare, environment, 0).Result(bounded(t))
	require.NoError(t, err)
	assert.Len(t, env, 1, "%v", env) // GOMAXPROCS

	own := newPool(t, procpool.Config{Sandbox: procpool.PureCPU, Limits: procpool.Limits{Memory: 1000 << 20}, Env: []string{"GOMAXPROCS=7", "GOMEMLIMIT=123456789"}})
	env, err = futures.Submit(bounded(t), own, environment, 0).Result(bounded(t))
	require.NoError(t, err)
	assert.Contains(t, env, "GOMAXPROCS=7")
	assert.Contains(t, env, "GOMEMLIMIT=123456789")
}

// What this program has of it was said of this program.
func TestAWorkerHasLimitsOfItsOwnAndNotThoseOfItsHost(t *testing.T) {
	clean(t)
	t.Setenv("GOMEMLIMIT", "4GiB")
	t.Setenv("GOMAXPROCS", "64")
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, Limits: procpool.Limits{Memory: 1000 << 20}})
	require.NoError(t, err)
	defer func() { mustClose(t, pool) }()
	env, err := futures.Submit(bounded(t), pool, environment, 0).Result(bounded(t))
	require.NoError(t, err)
	assert.Contains(t, env, fmt.Sprintf("GOMEMLIMIT=%d", 900<<20))
	assert.NotContains(t, env, "GOMEMLIMIT=4GiB")
	assert.NotContains(t, env, "GOMAXPROCS=64")
}

// A script runs in the narrowest sandbox, whatever its interpreter needs to be executed, and nothing else does.
func TestAScriptIsExecutedByWhatItNamesAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	sh, err := os.ReadFile("/bin/sh")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "through"), sh, 0o755))
	for name, line := range map[string]string{
		"interpreter":            "#!/bin/sh",
		"with an argument":       "#! /bin/sh -e",
		"looked up":              "#!/usr/bin/env sh",
		"looked up, in PATH":     "#!/usr/bin/env through",
		"looked up, with a path": "#!/usr/bin/env /bin/sh",
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			script := filepath.Join(t.TempDir(), "script")
			require.NoError(t, os.WriteFile(script, []byte(line+"\necho it runs >&2\nexec /bin/echo it runs too\n"), 0o755))
			pool := newPool(t, procpool.Config{Worker: procpool.Command(script), Sandbox: procpool.PureCPU, Env: []string{"PATH=/nowhere", "PATH=/bin:" + dir}})
			sound(t, pool)
			_, err := futures.Submit(bounded(t), pool, square, 1).Result(bounded(t))
			var failed *procpool.StartError
			require.ErrorAs(t, err, &failed)
			assert.Contains(t, failed.Stderr, "it runs\n", "%v", failed)
			assert.Contains(t, failed.Stderr, "ermission denied", "%v", failed)
		})
	}
}

// A program is what a sandbox is for: what it says of itself opens nothing to it.
func TestAProgramGrantsItselfNothing(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	for name, line := range map[string]string{
		"a secret":                   "#!" + secret,
		"everything":                 "#!/",
		"a secret, by looking it up": "#!/usr/bin/env " + secret,
		"everything, by looking up":  "#!/usr/bin/env /",
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			script := filepath.Join(t.TempDir(), "script")
			require.NoError(t, os.WriteFile(script, []byte(line+"\n"), 0o755))
			_, err := procpool.New(procpool.Config{Worker: procpool.Command(script), Sandbox: procpool.PureCPU, Env: []string{}})
			require.ErrorContains(t, err, "no binary that can be executed")
			assert.ErrorContains(t, err, script)
		})
	}
}
