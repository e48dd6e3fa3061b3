//go:build linux

package procpool_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// What functions print goes to Config.Stderr as it is, and to Logger line by line, and never meets the calls.
func TestOutputGoesToStderrAndLogger(t *testing.T) {
	clean(t)
	var out sink
	log := newJournal()
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Stderr: &out, Logger: slog.New(log)})
	said := []string{"one", "", "1|1|unix|not-a-handshake|netrpc", "\xc1cf\x01 looks like a frame"}
	_, err := futures.Submit(context.Background(), pool, printLines, said).Result(bounded(t))
	require.NoError(t, err)
	got, err := futures.Submit(context.Background(), pool, echo, "still in step").Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, "still in step", got)
	mustClose(t, pool)
	for _, s := range said {
		assert.Contains(t, out.String(), "out "+s+"\n")
		assert.Contains(t, out.String(), s+"\n")
	}
	assert.Equal(t, 2*len(said), strings.Count(out.String(), "\n"), "there is more or less than was printed")
	assert.NotEmpty(t, log.find("out one"), "Logger misses standard output")
	assert.NotEmpty(t, log.find("one"), "Logger misses standard error")
	assert.Empty(t, log.atLeast(slog.LevelWarn), "ordinary output, or an ordinary end, is logged as a problem")
}

// counter is a Writer that only counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// Any volume in one line passes through, and takes no memory for it.
func TestAnyVolumeInOneLine(t *testing.T) {
	for name, fd := range map[string]int{"stdout": 1, "stderr": 2} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			const size = 200 << 20
			var out counter
			pool := newPool(t, procpool.Config{MaxWorkers: 1, Stderr: &out})
			before := heap()
			n, err := futures.Submit(context.Background(), pool, flood, flooding{fd, size}).Result(bounded(t))
			require.NoError(t, err)
			assert.Equal(t, size, n)
			assert.Less(t, heap(), before+size/8, "the line is kept in memory")
			mustClose(t, pool)
			assert.Equal(t, int64(size), out.n.Load())
		})
	}
}

// heap is how much memory is in use.
func heap() int {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// brokenWriter fails, as one to a full disk does.
type brokenWriter struct{ writes atomic.Int64 }

func (b *brokenWriter) Write([]byte) (int, error) {
	b.writes.Add(1)
	return 0, errors.New("no space left")
}

func TestAWriterThatFailsHoldsUpNobody(t *testing.T) {
	clean(t)
	var out brokenWriter
	log := newJournal()
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Stderr: &out, Logger: slog.New(log)})
	n, err := futures.Submit(context.Background(), pool, flood, flooding{2, 1 << 20}).Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, 1<<20, n)
	_, err = futures.Submit(context.Background(), pool, printLines, []string{"after"}).Result(bounded(t))
	require.NoError(t, err)
	mustClose(t, pool)
	assert.Positive(t, out.writes.Load())
	assert.NotEmpty(t, log.find("out after"), "Logger pays for a Writer that fails")
}

// blockedWriter blocks until it is let go.
type blockedWriter struct {
	began chan struct{} // gets one token
	let   chan struct{}
}

func (b *blockedWriter) Write(p []byte) (int, error) {
	select {
	case b.began <- struct{}{}:
	default:
	}
	<-b.let
	return len(p), nil
}

// A Writer that blocks holds up its own worker, as documented, but neither Close nor KillWorkers.
func TestAWriterThatBlocksDoesNotHoldUpClose(t *testing.T) {
	clean(t)
	out := &blockedWriter{make(chan struct{}, 1), make(chan struct{})}
	t.Cleanup(func() { close(out.let) })
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Stderr: out, KillGrace: time.Second})
	f := futures.Submit(context.Background(), pool, printLines, []string{"one"})
	<-out.began
	_, err := f.Result(bounded(t))
	require.NoError(t, err, "a line fits into the pipe")
	began := time.Now()
	mustClose(t, pool)
	assert.Less(t, time.Since(began), 6*time.Second)
}

func TestAWriterThatBlocksDoesNotHoldUpATimeout(t *testing.T) {
	clean(t)
	out := &blockedWriter{make(chan struct{}, 1), make(chan struct{})}
	t.Cleanup(func() { close(out.let) })
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Stderr: out, KillGrace: 200 * time.Millisecond})
	_, err := futures.Submit(context.Background(), pool, flood, flooding{1, 1 << 20}, futures.Timeout(200*time.Millisecond)).Result(bounded(t))
	require.ErrorIs(t, err, futures.ErrTimeout)
	began := time.Now()
	mustClose(t, pool)
	assert.Less(t, time.Since(began), 6*time.Second)
}

// The last words of a worker that dies are there, however much came before.
func TestTheTailOfStderrIsTheLastWords(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	_, err := futures.Submit(context.Background(), pool, flood, flooding{2, 10 << 20}).Result(bounded(t))
	require.NoError(t, err)
	_, err = futures.Submit(context.Background(), pool, perish, fate{"exit", 3}).Result(bounded(t))
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	assert.True(t, strings.HasSuffix(crash.Stderr, "xxabout to perish: exit 3\n"))
	assert.Less(t, len(crash.Stderr), 1<<20, "all of it is kept")
}

// What a worker says because it was asked to is in the error, and what it had said before is where everybody looks.
func TestTheDumpIsKeptOutOfTheLogs(t *testing.T) {
	clean(t)
	var out sink
	log := newJournal()
	pool := newPool(t, procpool.Config{MaxWorkers: 1, KillGrace: 10 * time.Millisecond, Stderr: &out, Logger: slog.New(log)})
	_, err := futures.Submit(context.Background(), pool, printLines, []string{"before"}).Result(bounded(t))
	require.NoError(t, err)
	g := newGate(t)
	_, err = futures.Submit(context.Background(), pool, spin, held{Gate: g.path}, futures.Timeout(time.Millisecond)).Result(bounded(t))
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	require.Contains(t, crash.Goroutines, "spinWithoutEnd(")
	mustClose(t, pool)
	assert.Len(t, out.String(), len("before\nout before\n"), "%s", out.String())
	assert.Equal(t, "before\n", crash.Stderr)
	assert.Empty(t, log.find("SIGQUIT: quit"))
	assert.NotEmpty(t, log.find("before"))
}
