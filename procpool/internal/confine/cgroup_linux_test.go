package confine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCounter(t *testing.T) {
	file := filepath.Join(t.TempDir(), "memory.events")
	require.NoError(t, os.WriteFile(file, []byte("low 0\noom 3\noom_kill 2\nunder_oom\n"), 0o600))
	n, known := counter(file, "oom_kill")
	assert.True(t, known)
	assert.EqualValues(t, 2, n)
	_, known = counter(file, "oom_group_kill")
	assert.False(t, known)
	_, known = counter(file+".gone", "oom_kill")
	assert.False(t, known, "what cannot be read is not zero")
}
