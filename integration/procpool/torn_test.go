//go:build linux

package procpool_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// What a worker had answered counts, whatever the last thing is that it wrote: nobody but the call that ran is lost, and nothing that
// has ended runs again.
func TestATornAnswerCostsOneCall(t *testing.T) {
	for _, way := range []string{"half a frame", "half a head", "garbage"} {
		for _, retries := range []int{0, 1} {
			t.Run(fmt.Sprint(way, " ", retries), func(t *testing.T) {
				clean(t)
				m := newMarks(t)
				pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
				warmMark(t, pool)
				const items = 6
				orders := func(yield func(ordeal) bool) {
					for n := range items {
						o := ordeal{Mark: marking{File: m.path, N: n}}
						if n == 3 {
							o.Fate = fate{way, 0}
						}
						if !yield(o) {
							return
						}
					}
				}
				n := 0
				for got, err := range futures.Map(bounded(t), pool, markOrPerish, orders, futures.Chunksize(items), futures.Retries(retries)) {
					if n == 3 {
						var crash *procpool.WorkerCrashError
						require.ErrorAs(t, err, &crash)
					} else {
						assert.NoError(t, err, "call %d had ended, or had not started", n)
						assert.Equal(t, n, got)
					}
					n++
				}
				assert.Equal(t, items, n)
				assert.Equal(t, map[int]int{0: 1, 1: 1, 2: 1, 4: 1, 5: 1}, m.read())
				assert.Equal(t, 1+retries, pool.Stats().Crashed)
				assert.Equal(t, retries, pool.Stats().Retried)
			})
		}
	}
}
