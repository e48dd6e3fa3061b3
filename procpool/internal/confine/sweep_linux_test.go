package confine

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const markVar = "CONFINE_TEST_MARK"

// TestMain makes this program a host in a place of its own, which tells its mark and waits for its end.
func TestMain(m *testing.M) {
	if os.Getenv(markVar) == "" {
		os.Exit(m.Run())
	}
	own, err := mark()
	fmt.Println(own, err)
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

// hostIn starts a host by unshare, and returns what it says of its mark.
func hostIn(t *testing.T, unshare ...string) (says string) {
	t.Helper()
	if !capable(unix.CAP_SYS_ADMIN) {
		t.Skip("THE TEST TAKES CAP_SYS_ADMIN TO MAKE A NAMESPACE")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	host := exec.Command("unshare", append(unshare, "--fork", self)...)
	host.Env = append(os.Environ(), markVar+"=1")
	host.Stderr = os.Stderr
	in, err := host.StdinPipe()
	require.NoError(t, err)
	out, err := host.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, host.Start())
	t.Cleanup(func() {
		assert.NoError(t, in.Close())
		assert.NoError(t, host.Wait())
	})
	says, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(says)
}

// relics are cgroups that somebody has left. They say which of them are opened, and let nobody.
type relics struct {
	groups
	names  []string
	opened []string
}

func (r *relics) leftover() []string { return r.names }

func (r *relics) open(name string) (group, error) {
	r.opened = append(r.opened, name)
	return nil, os.ErrPermission
}

// A host whose clock is another one has another start time there than here: it is not taken for one that is gone.
func TestAHostInAnotherTimeNamespaceIsLeftAlone(t *testing.T) {
	own, err := mark()
	require.NoError(t, err)
	far, _, _ := strings.Cut(hostIn(t, "--time", "--boottime", "100000"), " ")
	near, _, _ := strings.Cut(hostIn(t, "--uts"), " ")
	here, err := realm()
	require.NoError(t, err)
	gone := namePrefix + here + "-1-999999999999-1" // the first process was not started then
	r := &relics{names: []string{own + "1", far + "1", near + "1", gone, namePrefix + "1", namePrefix + here + "-x-1-1"}}
	sweep(r)
	assert.Equal(t, []string{gone}, r.opened)
	assert.NotContains(t, far, here)
	assert.Contains(t, near, here)
}

// Where /proc is that of another pid namespace, pids name others there: such a host must not judge who is gone.
func TestAProcOfAnotherNamespaceIsNotBelieved(t *testing.T) {
	assert.Contains(t, hostIn(t, "--pid"), "/proc is not that of this program's pid namespace")
	assert.Contains(t, hostIn(t, "--pid", "--mount-proc"), "<nil>")
}

// What another user has left cannot be removed, and trying takes its time.
func TestCgroupsOfOtherUsersAreNotLeftovers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("THE TEST TAKES ROOT TO MAKE FILES OF ANOTHER USER")
	}
	dir := t.TempDir()
	for name, owner := range map[string]int{namePrefix + "ours": 0, namePrefix + "theirs": 65534, "another": 0} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		file := filepath.Join(dir, name, "cgroup.procs")
		require.NoError(t, os.WriteFile(file, nil, 0o644))
		require.NoError(t, os.Chown(file, owner, owner))
	}
	assert.Equal(t, []string{namePrefix + "ours", namePrefix + "theirs"}, named(dir), "root can remove all")
	done := make(chan []string)
	go func() {
		runtime.LockOSThread() // and never unlock it
		header, none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
		assert.NoError(t, unix.Capset(&header, &none[0]))
		done <- named(dir)
	}()
	assert.Equal(t, []string{namePrefix + "ours"}, <-done)
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
