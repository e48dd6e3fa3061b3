//go:build unix

package main

import (
	"os"
	"os/exec"
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
	here, err := os.Getwd()
	require.NoError(t, err)
	out, err := exec.Command(python(t), "-c", `import os, sys, msgpack
print("\n".join({here for here in [*sys.path, sys.prefix + "/lib", os.path.dirname(msgpack.__file__)] if os.path.isdir(here)}))`).Output()
	require.NoError(t, err)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Sandbox: procpool.Sandbox{Read: append(strings.Fields(string(out)), here)}})
	for _, r := range pool.Enforced() {
		if !r.Active {
			t.Skipf("THIS MACHINE CANNOT RUN THE TEST: %v", r)
		}
	}
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
