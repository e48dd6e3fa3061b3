package procpool

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Or else whoever uses the arena would be taken for one who leaks.
func TestMemoryThatIsSharedDoesNotCount(t *testing.T) {
	const size = 64 << 20
	file, err := sharedMemory("test", size)
	require.NoError(t, err)
	defer file.Close()
	mem, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	require.NoError(t, err)
	defer func() { assert.NoError(t, syscall.Munmap(mem)) }()
	before, ok := privateMemory(os.Getpid())
	require.True(t, ok)
	for i := 0; i < size; i += os.Getpagesize() {
		mem[i] = 1
	}
	after, ok := privateMemory(os.Getpid())
	require.True(t, ok)
	assert.Less(t, after-before, int64(size/2))
}

// Once a process was waited for, its pid may be anybody's.
func TestAPidThatIsAnothersIsLeftAlone(t *testing.T) {
	p, err := startProcess(exec.Command("true"), 0, nil)
	require.NoError(t, err)
	<-p.exited
	defer p.close()
	stranger := exec.Command("cat")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := stranger.StdinPipe()
	require.NoError(t, err)
	out, err := stranger.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, stranger.Start())
	p.id = stranger.Process.Pid
	p.quit()
	p.signal(syscall.SIGKILL)
	_, weighed := p.weight()
	assert.False(t, weighed)
	_, err = in.Write([]byte("alive"))
	assert.NoError(t, err)
	assert.NoError(t, in.Close())
	said, err := io.ReadAll(out)
	assert.NoError(t, err)
	assert.Equal(t, "alive", string(said))
	assert.NoError(t, stranger.Wait())
}

// A process that has ended may have left answers, and a stranger who holds its pipe must not keep this host waiting for more.
func TestWhatWasWrittenIsReadHoweverLate(t *testing.T) {
	ours, theirs, err := os.Pipe()
	require.NoError(t, err)
	defer ours.Close()
	defer theirs.Close()
	_, err = theirs.WriteString("answer")
	require.NoError(t, err)
	p := &process{responses: ours, exited: make(chan struct{})}
	require.NoError(t, ours.SetReadDeadline(time.Unix(1, 0)))
	r := &responses{process: p, grace: 6}
	buf := make([]byte, 100)
	_, err = r.Read(buf)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "that of a start")
	close(p.exited)
	n, err := r.Read(buf)
	require.NoError(t, err)
	assert.Equal(t, "answer", string(buf[:n]))
	_, err = theirs.WriteString("a stranger's")
	require.NoError(t, err)
	require.NoError(t, ours.SetReadDeadline(time.Unix(1, 0)))
	_, err = r.Read(buf)
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
}
