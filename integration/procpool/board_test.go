//go:build linux

package procpool_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A board is memory in which calls leave marks: it costs a call some nanoseconds, so that calls can be as short as they get, and what
// was marked stays whatever becomes of the process.
type board struct {
	path  string
	calls []callMarks
	dying *deathRoll
}

// callMarks are those of one call.
type callMarks struct {
	begun, ended atomic.Uint32 // how often
	pid          atomic.Uint32 // of the worker that ran it last
	doomed       atomic.Uint32 // the host's: it kills its process
}

// deathRoll is where workers that kill themselves enter their pid.
type deathRoll struct {
	n    atomic.Uint32
	pids [1023]atomic.Uint32
}

// boardVar tells workers where the board is.
const boardVar = "PROCPOOL_TEST_BOARD"

func newBoard(t *testing.T, calls int) *board {
	t.Helper()
	path := filepath.Join(t.TempDir(), "board")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, int64(unsafe.Sizeof(deathRoll{}))+int64(calls)*int64(unsafe.Sizeof(callMarks{}))))
	b, mem, err := openBoard(path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, unix.Munmap(mem)) })
	return b
}

// env is the environment of workers that leave their marks there.
func (b *board) env() []string { return append(os.Environ(), boardVar+"="+b.path) }

func openBoard(path string) (b *board, mem []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if mem, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, nil, err
	}
	rest := mem[unsafe.Sizeof(deathRoll{}):]
	return &board{
		path:  path,
		calls: unsafe.Slice((*callMarks)(unsafe.Pointer(unsafe.SliceData(rest))), len(rest)/int(unsafe.Sizeof(callMarks{}))),
		dying: (*deathRoll)(unsafe.Pointer(&mem[0])),
	}, mem, nil
}

// ran is how many runs were begun of the calls from one number up to another, without that.
func (b *board) ran(from, to int) (n int) {
	for i := range b.calls[from:to] {
		n += int(b.calls[from+i].begun.Load())
	}
	return n
}

// suicides are the pids of the workers that were about to kill themselves.
func (b *board) suicides() (pids []int) {
	for i := range b.dying.n.Load() {
		pids = append(pids, int(b.dying.pids[i].Load()))
	}
	return pids
}

// Here begins what runs in workers.

var workersBoard = sync.OnceValues(func() (*board, error) {
	b, _, err := openBoard(os.Getenv(boardVar))
	return b, err
})

// tally leaves a mark on the board for the call n. A doomed one kills its process.
func tally(_ context.Context, n int) (int, error) {
	b, err := workersBoard()
	if err != nil {
		return 0, err
	}
	m, self := &b.calls[n], uint32(os.Getpid())
	m.begun.Add(1)
	m.pid.Store(self)
	if m.doomed.Load() != 0 {
		b.dying.pids[b.dying.n.Add(1)-1].Store(self)
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			return 0, err
		}
		select {}
	}
	if n%16 == 0 { // so that some are hit before they have ended
		for began := time.Now(); time.Since(began) < 10*time.Microsecond; {
			continue
		}
	}
	m.ended.Add(1)
	return tallied(n), nil
}

// tallied is what tally returns for n.
func tallied(n int) int { return 7*n + 3 }

// tallies are Funcs that do the same under different names, so that it can be told which of them is blamed.
var tallies = func() (fns [4]futures.Func[int, int]) {
	for i := range fns {
		fns[i] = futures.NewFunc(fmt.Sprintf("test.Tally%d", i), tally)
	}
	return fns
}()

// heldTally is the argument of holdOrTally.
type heldTally struct {
	N    int
	Gate string // of a call that says that it has begun and waits to be let go; empty for one that leaves a mark
}

// holdOrTally is long or short.
var holdOrTally = futures.NewFunc("test.HoldOrTally", func(ctx context.Context, h heldTally) (int, error) {
	if h.Gate != "" {
		return hold.Call(ctx, held{Gate: h.Gate})
	}
	return tally(ctx, h.N)
})
