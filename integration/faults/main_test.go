//go:build linux

package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// programVar is where the worker's program is, for the processes that this one starts.
const programVar = "FAULTS_TEST_WORKER"

func workerProgram() string { return os.Getenv(programVar) }

func TestMain(m *testing.M) {
	if gate := os.Getenv(hostVar); gate != "" {
		beHost(gate)
	}
	os.Exit(run(m))
}

// run runs the tests with a worker that was built for them, a folder of its own for temporary entries, and as the parent of every orphan.
func run(m *testing.M) int {
	temp, err := os.MkdirTemp("", "faults")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(temp) }() // it is temporary
	if workerProgram() == "" {
		program := filepath.Join(temp, "worker")
		if out, err := exec.Command("go", "build", "-o", program, "./worker").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the worker: %v\n%s", err, out)
			return 1
		}
		err = os.Setenv(programVar, program)
	}
	if err == nil {
		err = os.Setenv("TMPDIR", temp)
	}
	if err == nil { // a program with the race detector would take a second to exit
		err = os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	}
	if err == nil {
		err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
