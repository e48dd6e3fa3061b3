package remains

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// patience bounds every wait for something that must happen. It is no measure of how long it may take.
const patience = 30 * time.Second

// Watch notes what there is, and sees when the test is over that there is no more: processes, however far descended, goroutines and descriptors. It comes
// first in a test, so that what the test itself puts away is away by then. The kernel gets so long to bury those whose group was killed.
func Watch(t *testing.T, burial time.Duration) {
	t.Helper()
	goroutines, before := goleak.IgnoreCurrent(), descriptors(t)
	t.Cleanup(func() {
		assert.Empty(t, survivors(t, burial), "processes are left")
		goleak.VerifyNone(t, goroutines)
		left := descriptors(t)
		maps.DeleteFunc(left, func(fd, what string) bool { return before[fd] == what })
		assert.Empty(t, left, "descriptors are left")
	})
}

// descriptors are those of this process, with what they lead to.
func descriptors(t *testing.T) map[string]string {
	t.Helper()
	open := make(map[string]string)
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err != nil || strings.HasPrefix(to, "anon_inode:[event") || strings.HasSuffix(to, "/fd") {
			continue // that of the listing itself, and the poller's own
		}
		open[e.Name()] = to
	}
	return open
}

// Until waits for something that no event tells of.
func Until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "it does not come to this: %s", what)
	}
}
