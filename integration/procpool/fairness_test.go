//go:build linux

package procpool_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// As long as a worker is left for them, short calls get to their end, however many long ones there are and wherever among them they lie.
// The long ones hold until the short ones are done: a short one that waits for a long one waits for ever.

const (
	longCalls  = 4
	shortCalls = 5000
)

// crowd is long and short calls, in the order of their submission: the long ones lie at the beginning, or among the others.
func crowd(g *gate, spread bool) (calls []heldTally) {
	for n := range shortCalls {
		if n%(shortCalls/longCalls) == 0 && spread {
			calls = append(calls, heldTally{N: -1, Gate: g.path})
		}
		calls = append(calls, heldTally{N: n})
	}
	for range longCalls {
		if !spread {
			calls = slices.Insert(calls, 0, heldTally{N: -1, Gate: g.path})
		}
	}
	return calls
}

// crowdPool is a pool with one more worker than there are long calls. A warm one knows already how short calls are.
func crowdPool(t *testing.T, b *board, warm bool) *procpool.ProcessPoolExecutor {
	t.Helper()
	pool := newPool(t, procpool.Config{MaxWorkers: longCalls + 1, Env: b.env(), KillGrace: patience})
	if warm {
		for range 200 {
			_, err := futures.Submit(context.Background(), pool, holdOrTally, heldTally{N: shortCalls}).Result(bounded(t))
			require.NoError(t, err)
		}
	}
	return pool
}

// eachCrowd runs a test for each way in which long and short calls can come together.
func eachCrowd(t *testing.T, test func(t *testing.T, g *gate, b *board, pool *procpool.ProcessPoolExecutor, calls []heldTally)) {
	for _, warm := range []bool{false, true} {
		for _, spread := range []bool{false, true} {
			t.Run(fmt.Sprintf("warm %v, spread %v", warm, spread), func(t *testing.T) {
				clean(t)
				g, b := newGate(t), newBoard(t, shortCalls+1)
				test(t, g, b, crowdPool(t, b, warm), crowd(g, spread))
				for n := range shortCalls {
					assert.EqualValues(t, 1, b.calls[n].begun.Load(), "call %d", n)
				}
			})
		}
	}
}

func TestNoShortCallWaitsForALongOne(t *testing.T) {
	eachCrowd(t, func(t *testing.T, g *gate, b *board, pool *procpool.ProcessPoolExecutor, calls []heldTally) {
		var long, short []*futures.Future[int]
		for _, c := range calls {
			f := futures.Submit(context.Background(), pool, holdOrTally, c)
			if c.Gate != "" {
				long = append(long, f)
			} else {
				short = append(short, f)
			}
		}
		for n, f := range short {
			got, err := f.Result(bounded(t))
			require.NoError(t, err, "short call %d: %+v", n, pool.Stats())
			assert.Equal(t, tallied(n), got)
		}
		for range long {
			g.pid()
		}
		for _, f := range long {
			assert.Equal(t, futures.Running, f.State())
		}
		g.open(len(long))
		for _, f := range long {
			_, err := f.Result(bounded(t))
			require.NoError(t, err)
		}
	})
}

// The same for the items of one Map: what lies behind a long item in its chunk goes elsewhere.
func TestNoShortItemWaitsForALongOne(t *testing.T) {
	for name, results := range map[string]func(context.Context, *procpool.ProcessPoolExecutor, []heldTally) iter.Seq2[int, error]{
		"Map": func(ctx context.Context, pool *procpool.ProcessPoolExecutor, calls []heldTally) iter.Seq2[int, error] {
			return futures.Map(ctx, pool, holdOrTally, slices.Values(calls), futures.Buffersize(len(calls)))
		},
		"MapUnordered": func(ctx context.Context, pool *procpool.ProcessPoolExecutor, calls []heldTally) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for item, err := range futures.MapUnordered(ctx, pool, holdOrTally, slices.Values(calls), futures.Buffersize(len(calls))) {
					if !yield(item.Out, err) {
						return
					}
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachCrowd(t, func(t *testing.T, g *gate, b *board, pool *procpool.ProcessPoolExecutor, calls []heldTally) {
				before := pool.Stats().Answered
				type end struct {
					items int
					err   error
				}
				over := make(chan end, 1)
				go func() { // ends with the Map
					var e end
					for _, err := range results(bounded(t), pool, calls) {
						e.items++
						if err != nil {
							e.err = err
						}
					}
					over <- e
				}()
				remains.Until(t, "every short item is done while the long ones hold", func() bool { return pool.Stats().Answered-before == shortCalls })
				for range longCalls {
					g.pid()
				}
				assert.Equal(t, longCalls, pool.Stats().Sent)
				g.open(longCalls)
				assert.Equal(t, end{items: len(calls)}, <-over)
			})
		})
	}
}

// And for a Map whose loop asks for each result in turn, beside long calls of others: it is over before they are.
func TestAMapDoesNotWaitForTheLongCallsOfOthers(t *testing.T) {
	clean(t)
	g, b := newGate(t), newBoard(t, shortCalls+1)
	pool := crowdPool(t, b, false)
	var long []*futures.Future[int]
	for range longCalls {
		long = append(long, futures.Submit(context.Background(), pool, holdOrTally, heldTally{Gate: g.path}))
	}
	var short []heldTally
	for n := range shortCalls {
		short = append(short, heldTally{N: n})
	}
	n := 0
	for got, err := range futures.Map(bounded(t), pool, holdOrTally, slices.Values(short)) {
		require.NoError(t, err, "item %d: %+v", n, pool.Stats())
		assert.Equal(t, tallied(n), got)
		n++
	}
	assert.Equal(t, shortCalls, n)
	for range long {
		g.pid()
	}
	g.open(len(long))
	for _, f := range long {
		_, err := f.Result(bounded(t))
		require.NoError(t, err)
	}
}

// What was sent ahead to a worker that then blocks is run by one that is idle, and only once. Nobody else comes or goes meanwhile.
func TestAnIdleWorkerTakesWhatWaitsBehindACallThatBlocks(t *testing.T) {
	clean(t)
	g, other, b := newGate(t), newGate(t), newBoard(t, shortCalls+1)
	pool := newPool(t, procpool.Config{MaxWorkers: 2, Env: b.env(), KillGrace: patience})
	ctx := context.Background()
	for range 2 { // two workers
		futures.Submit(ctx, pool, hold, held{Gate: other.path})
	}
	first, second := other.pid(), other.pid()
	assert.NotEqual(t, first, second)
	other.open(2)
	for range 200 { // the pool learns how short they are
		_, err := futures.Submit(ctx, pool, holdOrTally, heldTally{N: shortCalls}).Result(bounded(t))
		require.NoError(t, err)
	}
	const rounds, behind = 10, 20
	stolen := 0
	for round := range rounds {
		blocks := futures.Submit(ctx, pool, holdOrTally, heldTally{Gate: g.path})
		var waiting []*futures.Future[int]
		for n := range behind { // at once, before the pool can see that it blocks
			waiting = append(waiting, futures.Submit(ctx, pool, holdOrTally, heldTally{N: round*behind + n}))
		}
		holder := g.pid()
		for n, f := range waiting {
			got, err := f.Result(bounded(t))
			require.NoError(t, err, "a call waits for one that blocks: %+v", pool.Stats())
			assert.Equal(t, tallied(round*behind+n), got)
			m := &b.calls[round*behind+n]
			assert.EqualValues(t, 1, m.begun.Load())
			if int(m.pid.Load()) != holder {
				stolen++
			}
		}
		assert.Equal(t, futures.Running, blocks.State())
		g.open(1)
		_, err := blocks.Result(bounded(t))
		require.NoError(t, err)
		for range 50 { // it learns it again
			_, err := futures.Submit(ctx, pool, holdOrTally, heldTally{N: shortCalls}).Result(bounded(t))
			require.NoError(t, err)
		}
	}
	assert.Equal(t, 2, pool.Stats().Started)
	assert.Equal(t, rounds*behind, stolen)
}
