package confine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A limit of memory is none where a worker may go on in swap.
func TestWhatIsSaidOfSwapIsTrue(t *testing.T) {
	const titles = "Filename\t\t\t\tType\t\tSize\n"
	const some = titles + "/dev/vda                                partition\t524284\n"
	how, err := swapping(true, some)
	require.NoError(t, err)
	assert.Equal(t, "swap included", how)
	for _, none := range []string{titles, ""} {
		how, err = swapping(false, none)
		require.NoError(t, err)
		assert.Contains(t, how, "not counted")
	}
	_, err = swapping(false, some)
	assert.ErrorContains(t, err, "does not count swap")
}

// A kernel that does not count swap has no file for it, and limits memory without.
func TestVersion2LimitsSwapWhereItIsCounted(t *testing.T) {
	for _, counted := range []bool{true, false} {
		g := &groups2{mount: t.TempDir(), parent: "/"}
		require.NoError(t, os.WriteFile(filepath.Join(g.mount, "cgroup.controllers"), []byte("memory pids\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(g.mount, "cgroup.subtree_control"), nil, 0o600))
		worker := filepath.Join(g.mount, "worker")
		swap := filepath.Join(worker, "memory.swap.max")
		require.NoError(t, os.Mkdir(worker, 0o700))
		if counted {
			require.NoError(t, os.WriteFile(swap, []byte("max"), 0o600))
		}
		made, err := g.make("worker", Limits{Memory: 12345678})
		require.NoError(t, err)
		assert.Equal(t, counted, made.countsSwap())
		require.NoError(t, os.Chmod(filepath.Join(worker, "memory.max"), 0o600)) // which the library leaves unreadable
		text, err := os.ReadFile(filepath.Join(worker, "memory.max"))
		require.NoError(t, err)
		assert.Equal(t, "12345678", string(text))
		if !counted {
			assert.NoFileExists(t, swap)
			continue
		}
		text, err = os.ReadFile(swap)
		require.NoError(t, err)
		assert.Equal(t, "0", string(text)[:1])
	}
}

func TestVersion1SaysWhetherItCountsSwap(t *testing.T) {
	g := &group1{groups: &groups1{folders: map[cgroup1.Name]string{cgroup1.Memory: t.TempDir()}}, name: "worker"}
	worker := filepath.Join(g.groups.folders[cgroup1.Memory], g.name)
	require.NoError(t, os.Mkdir(worker, 0o700))
	assert.False(t, g.countsSwap())
	require.NoError(t, os.WriteFile(filepath.Join(worker, "memory.memsw.limit_in_bytes"), nil, 0o600))
	assert.True(t, g.countsSwap())
}
