package confine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A script that names itself is for the kernel to refuse, and not for the host to follow.
func TestScriptsThatNameOneAnotherAreNotFollowedForEver(t *testing.T) {
	dir := t.TempDir()
	env := filepath.Join(dir, "env")
	require.NoError(t, os.WriteFile(env, []byte("#!"+env+" other\n"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), []byte("#!"+env+" env\n"), 0o700))
	assert.Len(t, programs(env, dir), 10)
}
