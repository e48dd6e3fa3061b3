//go:build linux

package procpool_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/worker"
)

func TestMain(m *testing.M) {
	worker.MainIfWorker(workerFuncs...)
	if kind := os.Getenv(hostVar); kind != "" {
		beHost(kind)
	}
	os.Exit(run(m))
}

// run runs the tests with a folder of its own for temporary entries, and as the parent of every orphan, so that both can be
// counted.
func run(m *testing.M) int {
	temp, err := os.MkdirTemp("", "procpool-integration")
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
	code := m.Run()
	if err := os.RemoveAll(temp); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
