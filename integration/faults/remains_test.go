//go:build linux

package faults_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
)

// clean sees when the test is over that nothing is left, mappings of memory that was shared included. It comes first in a test, which must not run beside
// others.
func clean(t *testing.T) {
	t.Cleanup(func() {
		entries, err := filepath.Glob(filepath.Join(os.TempDir(), "plugin-dir*"))
		require.NoError(t, err)
		assert.Empty(t, entries, "temporary entries are left")
		mapped, err := os.ReadFile("/proc/self/maps")
		require.NoError(t, err)
		assert.NotContains(t, string(mapped), "memfd:concurrent", "shared memory is left")
	})
	remains.Watch(t, 5*time.Second)
}
