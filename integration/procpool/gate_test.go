//go:build linux

package procpool_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A gate is where workers say that they have begun, and wait to be let go: two named pipes.
type gate struct {
	t       *testing.T
	path    string
	said    *bufio.Reader
	saying  *os.File
	release *os.File
}

const releaseSuffix = ".release"

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, path: filepath.Join(t.TempDir(), "gate")}
	open := func(path string) *os.File {
		require.NoError(t, unix.Mkfifo(path, 0o600))
		f, err := os.OpenFile(path, os.O_RDWR, 0) // both ends, so that nobody waits for the other to open it
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, f.Close()) })
		return f
	}
	g.saying, g.release = open(g.path), open(g.path+releaseSuffix)
	g.said = bufio.NewReader(g.saying)
	return g
}

// hear returns the next thing that a worker says.
func (g *gate) hear() string {
	g.t.Helper()
	require.NoError(g.t, g.saying.SetReadDeadline(time.Now().Add(patience)))
	line, err := g.said.ReadString('\n')
	require.NoError(g.t, err, "nobody says anything at the gate")
	return strings.TrimSuffix(line, "\n")
}

// pid is hear for a pid.
func (g *gate) pid() int {
	g.t.Helper()
	pid, err := strconv.Atoi(g.hear())
	require.NoError(g.t, err)
	return pid
}

// open lets n of those go that wait.
func (g *gate) open(n int) {
	g.t.Helper()
	_, err := g.release.Write(make([]byte, n))
	require.NoError(g.t, err)
}
