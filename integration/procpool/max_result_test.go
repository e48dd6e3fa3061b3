//go:build linux

package procpool_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// ways are those that a result can take, and pools of which every result of the longest length takes that way. head is what msgpack has before bytes of that length.
var ways = map[string]struct{ arena, longest, head int }{
	"ring":  {0, 1000, 3},
	"pipe":  {procpool.NoArena, 100_000, 5},
	"arena": {0, 100_000, 5},
}

// A result that is too long costs its call, whichever way it would take. The longest one arrives.
func TestAResultThatIsTooLongCostsItsCall(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, ArenaSize: way.arena, MaxResult: int64(way.longest)})
			fits := noise(1, way.longest-way.head)
			for range 2 {
				got, err := futures.Submit(bounded(t), pool, echoBytes, fits).Result(bounded(t))
				require.NoError(t, err)
				require.Equal(t, fits, got)
				_, err = futures.Submit(bounded(t), pool, echoBytes, noise(1, len(fits)+1)).Result(bounded(t))
				requireTooLong(t, err, way.longest+1, way.longest)
			}
			assert.Equal(t, 1, pool.Stats().Started, "all of it in one worker")
			mustClose(t, pool)
		})
	}
}

func requireTooLong(t *testing.T, err error, takes, limit int) {
	t.Helper()
	require.ErrorIs(t, err, futures.ErrNotShareable)
	assert.NotErrorIs(t, err, procpool.ErrBrokenProcessPool)
	assert.ErrorContains(t, err, fmt.Sprintf("it takes %d bytes, and the host takes results of up to %d (Config.MaxResult)", takes, limit))
}

// In a chunk it costs its item.
func TestAResultThatIsTooLongCostsItsItem(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, ArenaSize: way.arena, MaxResult: int64(way.longest)})
			fits := noise(1, way.longest-way.head)
			items := slices.Repeat([][]byte{fits}, 8)
			items[3] = noise(1, len(fits)+1)
			n := 0
			for got, err := range futures.Map(bounded(t), pool, echoBytes, slices.Values(items), futures.Chunksize(len(items))) {
				if n == 3 {
					requireTooLong(t, err, way.longest+1, way.longest)
				} else {
					require.NoError(t, err)
					assert.Equal(t, fits, got)
				}
				n++
			}
			assert.Equal(t, len(items), n)
			assert.Equal(t, 1, pool.Stats().Started, "all of it in one worker")
			mustClose(t, pool)
		})
	}
}

// Of a failure that bound says nothing.
func TestAFailureMayBeLongerThanAResult(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, MaxResult: 1})
	_, err := futures.Submit(bounded(t), pool, fail, "panic").Result(bounded(t))
	var failed *futures.TaskError
	require.ErrorAs(t, err, &failed)
	assert.Contains(t, failed.Stack, "panicDeepInside")
	_, err = futures.Submit(bounded(t), pool, fail, "").Result(bounded(t)) // 0
	require.NoError(t, err)
	mustClose(t, pool)
}
