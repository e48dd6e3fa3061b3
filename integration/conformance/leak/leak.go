// Package leak finds what a test leaves behind: goroutines, processes, file descriptors, temporary entries.
package leak

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// mark is in the environment of every process that descends from this one, however far, and of no other. Its value is
// this process's pid, unless an ancestor is under such a check as well.
const mark = "CONCURRENT_LEAK_MARK"

// Check compares, when t and everything that t cleans up is over, what there is with what there is now. Call it first in a
// test. Tests that run in parallel with others see each other's.
//
// Processes and descriptors are checked where there is a /proc.
func Check(t testing.TB) {
	t.Helper()
	if os.Getenv(mark) == "" {
		t.Setenv(mark, strconv.Itoa(os.Getpid()))
		own, err := os.MkdirTemp("", "leak") // other programs, tests too, come and go in the one of all
		require.NoError(t, err)
		t.Setenv("TMPDIR", own)
		t.Cleanup(func() { assert.NoError(t, os.RemoveAll(own)) })
	}
	goroutines := goleak.IgnoreCurrent()
	processes, descriptors, entries := descendants(), openFiles(), temporary()
	t.Cleanup(func() {
		assert.NoError(t, goleak.Find(goroutines), "goroutines left behind")
		assert.Empty(t, added(descendants(), processes), "processes left behind")
		assert.Empty(t, added(openFiles(), descriptors), "descriptors left open")
		assert.Empty(t, added(temporary(), entries), "temporary entries left behind")
	})
}

// added lists what is in now more often than it was in before.
func added(now, before []string) (more []string) {
	for _, s := range now {
		if i := slices.Index(before, s); i >= 0 {
			before = slices.Delete(slices.Clone(before), i, i+1)
			continue
		}
		more = append(more, s)
	}
	return more
}

// descendants are this process's children, ended ones that nobody waited for included, and their descendants, those that
// were handed over to init included.
func descendants() (found []string) {
	self := os.Getpid()
	wanted := []byte(mark + "=" + os.Getenv(mark))
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == self {
			continue
		}
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		fields := strings.Fields(string(stat[end+1:])) // state, parent
		if len(fields) < 2 {
			continue
		}
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // of others it cannot be read, and they are not ours
		if fields[1] == strconv.Itoa(self) || slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(e []byte) bool { return bytes.Equal(e, wanted) }) {
			found = append(found, fmt.Sprintf("%d %s", pid, stat[open:end+1]))
		}
	}
	return found
}

// openFiles names what the descriptors of this process lead to. Those that the runtime opens once and keeps are left out.
func openFiles() (found []string) {
	links, _ := filepath.Glob("/proc/self/fd/*") // the pattern is good
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]" {
			continue // it was the descriptor of the listing itself, or is the runtime's
		}
		found = append(found, target)
	}
	return found
}

// temporary lists the folders that go-plugin makes for its sockets.
func temporary() []string {
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), "plugin-dir*")) // the pattern is good
	return found
}
