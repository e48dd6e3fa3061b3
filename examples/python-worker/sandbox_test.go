//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A sandbox is not for Go alone. What Python needs besides its program are its own folders.
func TestASandboxHoldsAWorkerInPython(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("THERE IS NO SANDBOX HERE")
	}
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Sandbox: procpool.Sandbox{Read: folders(t)}})
	enforced(t, pool)
	got, err := call(t, pool, futures.Declare[string, string]("trial.read_file"), "concurrent_worker.py")
	require.NoError(t, err)
	assert.Contains(t, got, "def main")
	for _, path := range []string{"/etc/passwd", "/proc/self/environ"} {
		_, err = call(t, pool, futures.Declare[string, string]("trial.read_file"), path)
		assert.ErrorContains(t, err, "Permission denied", path)
	}
	_, err = call(t, pool, futures.Declare[string, string]("trial.connect"), "127.0.0.1")
	assert.ErrorContains(t, err, "not permitted")
}

// Its program may be the script itself, which names its interpreter: all that this takes to be executed is granted to it.
func TestASandboxHoldsAScript(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("THERE IS NO SANDBOX HERE")
	}
	found, err := exec.LookPath(python(t))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join("testdata", "trials.py"))
	require.NoError(t, err)
	for _, line := range []string{"#!" + found, "#!/usr/bin/env " + filepath.Base(found)} {
		script := filepath.Join(t.TempDir(), "trials")
		require.NoError(t, os.WriteFile(script, append([]byte(line+"\n"), text...), 0o700))
		pool := newPool(t, procpool.Config{
			Worker: procpool.Command(script), Sandbox: procpool.Sandbox{Read: folders(t)}, Env: []string{"PATH=" + filepath.Dir(found)},
		})
		enforced(t, pool)
		got, err := call(t, pool, futures.Declare[string, string]("trial.read_file"), "concurrent_worker.py")
		require.NoError(t, err, line)
		assert.Contains(t, got, "def main")
		_, err = call(t, pool, futures.Declare[string, string]("trial.read_file"), "/etc/passwd")
		assert.ErrorContains(t, err, "Permission denied")
	}
}

// folders are those of Python, and of the worker.
func folders(t *testing.T) []string {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	out, err := exec.Command(python(t), "-c", `import os, sys, msgpack
print("\n".join({here for here in [*sys.path, sys.prefix + "/lib", os.path.dirname(msgpack.__file__)] if os.path.isdir(here)}))`).Output()
	require.NoError(t, err)
	return append(strings.Fields(string(out)), here)
}

// enforced skips, loudly, where this machine cannot enforce what a test is about.
func enforced(t *testing.T, pool *procpool.ProcessPoolExecutor) {
	t.Helper()
	for _, r := range pool.Enforced() {
		if !r.Active {
			t.Skipf("THIS MACHINE CANNOT RUN THE TEST: %v", r)
		}
	}
}
