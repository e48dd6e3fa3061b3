package confine

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
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

// A host that /proc hides from this program lives nevertheless, and so do its workers.
func TestAHostThatIsHiddenIsNotGone(t *testing.T) {
	if !capable(unix.CAP_SYS_ADMIN) {
		t.Skip("THE TEST TAKES CAP_SYS_ADMIN TO MOUNT A FILE SYSTEM OF ITS OWN")
	}
	host := exec.Command("sleep", "1000")
	host.SysProcAttr = &unix.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	require.NoError(t, host.Start())
	start, err := startTime(host.Process.Pid)
	require.NoError(t, err)
	hidden := func(then string) (sees error, isGone bool) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // and never unlock it
			header, none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
			for _, err := range []error{unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
				unix.Mount("proc", "/proc", "proc", 0, "hidepid=2,gid=65533"), unix.Capset(&header, &none[0])} {
				assert.NoError(t, err)
			}
			_, sees = startTime(host.Process.Pid)
			isGone = gone(host.Process.Pid, then)
		}()
		<-done
		return sees, isGone
	}
	sees, isGone := hidden(start)
	require.ErrorIs(t, sees, os.ErrNotExist)
	assert.False(t, isGone)
	assert.False(t, gone(host.Process.Pid, start))
	assert.True(t, gone(host.Process.Pid, start+"0"), "another one that has its number")
	require.NoError(t, host.Process.Kill())
	_ = host.Wait() // it was killed, which is an error
	assert.True(t, gone(host.Process.Pid, start))
	_, isGone = hidden(start)
	assert.True(t, isGone)
}

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

// A pid alone names nobody: the next process may get it.
func TestAStartTimeNamesAProcess(t *testing.T) {
	own, err := startTime(os.Getpid())
	require.NoError(t, err)
	again, err := startTime(os.Getpid())
	require.NoError(t, err)
	assert.Equal(t, own, again)
	first, err := startTime(1)
	require.NoError(t, err)
	assert.NotEqual(t, own, first)
	_, err = startTime(1 << 30)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// vanished is a cgroup that somebody else has removed.
type vanished struct{ group }

func (vanished) remove() error { return os.ErrNotExist }

func TestACgroupThatIsGoneNeedsNoClearing(t *testing.T) {
	assert.NoError(t, clear(vanished{}))
}
