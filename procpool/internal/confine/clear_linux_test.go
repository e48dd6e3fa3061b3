package confine

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What is in a cgroup of version 2 is found and ended, and it is removed; also where the controllers are those of version 1.
func TestVersion2IsCleared(t *testing.T) {
	g := &groups2{parent: "/"}
	for _, at := range []string{mount, mount + "/unified"} {
		if unix.Access(filepath.Join(at, "cgroup.procs"), unix.W_OK) == nil && unix.Access(filepath.Join(at, "cgroup.subtree_control"), unix.W_OK) == nil {
			g.mount = at
		}
	}
	if g.mount == "" {
		t.Skip("THIS MACHINE HAS NO CGROUPS OF VERSION 2 THAT THE TEST MAY USE")
	}
	name := namePrefix + "of-a-test"
	made, err := g.make(name, Limits{})
	require.NoError(t, err)
	assert.Contains(t, g.leftover(), name)
	child := exec.Command("sleep", "1000")
	require.NoError(t, child.Start())
	done := make(chan error)
	go func() { done <- child.Wait() }()
	require.NoError(t, made.add(child.Process.Pid))
	pids, err := made.members()
	require.NoError(t, err)
	assert.Equal(t, []int{child.Process.Pid}, pids)
	if _, known := made.oomKills(); g.memory() != nil {
		assert.False(t, known, "nothing counts here")
	}

	found, err := g.open(name)
	require.NoError(t, err)
	require.NoError(t, clear(found))
	assert.EqualError(t, <-done, "signal: killed")
	assert.NotContains(t, g.leftover(), name)
}

// stale is a cgroup whose list of members is out of date.
type stale struct {
	group
	pids []int
}

func (s stale) members() ([]int, error) { return s.pids, nil }

// Between the reading of the list and the kill a member may end, and its pid become a stranger's.
func TestAStrangerThatHasGotTheNumberOfAMemberIsLeftAlone(t *testing.T) {
	stranger := exec.Command("sleep", "1000")
	require.NoError(t, stranger.Start())
	require.NoError(t, killEach(stale{pids: []int{stranger.Process.Pid, 0}}, namePrefix+"of-a-test"))
	require.NoError(t, stranger.Process.Signal(unix.SIGTERM)) // if SIGKILL was sent it comes first
	assert.EqualError(t, stranger.Wait(), "signal: terminated")
}

func TestInGroup(t *testing.T) {
	assert.True(t, inGroup("2:pids:/\n1:memory:/a/concurrent-1-2-3-4\n", "concurrent-1-2-3-4"))
	assert.True(t, inGroup("0::/concurrent-1-2-3-4/below\n", "concurrent-1-2-3-4"))
	assert.False(t, inGroup("0::/concurrent-1-2-3-45\n", "concurrent-1-2-3-4"))
	assert.False(t, inGroup("", "concurrent-1-2-3-4"))
}

// vanished is a cgroup that somebody else has removed.
type vanished struct{ group }

func (vanished) remove() error { return os.ErrNotExist }

func TestACgroupThatIsGoneNeedsNoClearing(t *testing.T) {
	assert.NoError(t, clear(vanished{}))
}
