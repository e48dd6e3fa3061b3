//go:build linux

package leak_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/integration/conformance/leak"
)

// A record is a test that only takes notes.
type record struct {
	*testing.T
	cleanups []func()
	failures []string
}

func (r *record) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *record) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// watch runs a test under Check and returns what Check had to say.
func watch(t *testing.T, test func()) string {
	r := &record{T: t}
	leak.Check(r)
	test()
	for _, f := range slices.Backward(r.cleanups) { // the last first, as in package testing
		f()
	}
	return strings.Join(r.failures, "\n")
}

func TestCheckIsContentWithATidyTest(t *testing.T) {
	assert.Empty(t, watch(t, func() { require.NoError(t, exec.Command("true").Run()) }))
}

func TestCheckFindsAGoroutine(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	assert.Contains(t, watch(t, func() { go func() { <-end }() }), "goroutines left behind")
}

func TestCheckFindsAProcess(t *testing.T) {
	child := exec.Command("cat")
	stdin, err := child.StdinPipe()
	require.NoError(t, err)
	said := watch(t, func() { require.NoError(t, child.Start()) })
	assert.Contains(t, said, "processes left behind")
	assert.Contains(t, said, "(cat)")
	require.NoError(t, stdin.Close())
	require.NoError(t, child.Wait())
}

// A process whose parent is gone is nobody's child, and found all the same.
func TestCheckFindsAGrandchild(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close() // nothing was written
	said := watch(t, func() {
		shell := exec.Command("sh", "-c", "cat <&3 >/dev/null &")
		shell.ExtraFiles = []*os.File{r}
		require.NoError(t, shell.Run())
	})
	require.NoError(t, w.Close()) // which ends it
	assert.Contains(t, said, "processes left behind")
}

func TestCheckFindsADescriptorAndATemporaryEntry(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var f *os.File
	said := watch(t, func() {
		require.NoError(t, os.Mkdir(filepath.Join(os.TempDir(), "plugin-dir123"), 0o700))
		var err error
		f, err = os.Open(os.DevNull)
		require.NoError(t, err)
	})
	assert.Contains(t, said, "descriptors left open")
	assert.Contains(t, said, "temporary entries left behind")
	require.NoError(t, f.Close())
}
