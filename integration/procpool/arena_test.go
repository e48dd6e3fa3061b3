//go:build linux

package procpool_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// noise is bytes that show any mistake about where they lie.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = source.Read(b) // never fails
	return b
}

// Values of every size come back as they went, whichever way they travel: in a message, in the arena, or through the pipe because the
// arena is full or too small, or there is none.
func TestLargeValuesTravelWhole(t *testing.T) {
	for name, size := range map[string]int{"default": 0, "small": 1 << 20, "none": procpool.NoArena} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 2, ArenaSize: size})
			var calls []*futures.Future[[]byte]
			var sent [][]byte
			for i, n := range []int{0, 1, 31 << 10, 32<<10 - 5, 32 << 10, 33 << 10, 100_000, 511 << 10, 512 << 10, 1 << 20, 5 << 20, 40 << 20, 100_000, 1} {
				b := noise(uint64(i), n)
				sent = append(sent, bytes.Clone(b))
				calls = append(calls, futures.Submit(context.Background(), pool, echoBytes, b))
				clear(b) // it was encoded: what becomes of it now is nobody's concern
			}
			for i, f := range calls {
				got, err := f.Result(bounded(t))
				require.NoError(t, err)
				require.True(t, bytes.Equal(sent[i], got), "%d bytes have changed on their way", len(sent[i]))
			}
			mustClose(t, pool)
		})
	}
}

// Results that are kept are not written over by later ones, although those lie in the same place of the arena.
func TestResultsFromTheArenaAreTheCallersOwn(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	var kept [][]byte
	for i := range 20 {
		got, err := futures.Submit(context.Background(), pool, echoBytes, noise(uint64(i), 200_000)).Result(bounded(t))
		require.NoError(t, err)
		kept = append(kept, got)
	}
	for i, got := range kept {
		assert.True(t, bytes.Equal(noise(uint64(i), 200_000), got), "result %d has changed", i)
	}
	mustClose(t, pool)
}

// A call that is retried takes its large argument along, to the arena of another worker.
func TestLargeArgumentsSurviveTheirWorker(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
	m := newMarks(t)
	text := strings.Repeat("large", 100_000)
	got, err := futures.Submit(context.Background(), pool, dieOnce, once{File: m.path, Text: text}, futures.Retries(1)).Result(bounded(t))
	require.NoError(t, err)
	if got != text { // which is too long to be shown
		t.Error("the argument of the second attempt is not that of the first")
	}
	assert.Equal(t, 1, pool.Stats().Crashed)
	mustClose(t, pool)
}

// The memory is bounded, belongs to no file that could be opened, and is given back.
func TestTheArenaIsGivenBack(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, ArenaSize: 8 << 20})
	worker, err := futures.Submit(context.Background(), pool, pid, none{}).Result(bounded(t))
	require.NoError(t, err)
	for range 20 {
		_, err := futures.Submit(context.Background(), pool, echoBytes, noise(1, 3<<20)).Result(bounded(t))
		require.NoError(t, err)
	}
	fd := "/proc/" + strconv.Itoa(worker) + "/fd/7"
	to, err := os.Readlink(fd)
	require.NoError(t, err)
	assert.Equal(t, "/memfd:concurrent (deleted)", to)
	var arena unix.Stat_t
	require.NoError(t, unix.Stat(fd, &arena))
	assert.EqualValues(t, 8<<20+4096, arena.Size)
	assert.Less(t, arena.Blocks*512, int64(7<<20), "values one at a time take more memory than the largest of them")
	require.ErrorIs(t, os.Truncate(fd, 0), unix.EPERM, "a worker could cut it off under the host")
	mustClose(t, pool)
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	assert.NotContains(t, string(maps), "/memfd:concurrent")
}

func TestSizesThatNoArenaCanHave(t *testing.T) {
	for _, size := range []int{-2, 1, 1<<20 - 1, math.MaxInt} {
		_, err := procpool.New(procpool.Config{Worker: procpool.Self(), ArenaSize: size})
		require.ErrorContains(t, err, "procpool: Config.ArenaSize: "+strconv.Itoa(size)+" bytes: it must be from 1048576 to 4294967296")
	}
	for _, size := range []int{procpool.NoArena, 0, 1 << 20, 1<<20 + 1} {
		pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), ArenaSize: size})
		require.NoError(t, err)
		mustClose(t, pool)
	}
}
