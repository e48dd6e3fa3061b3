package procpool_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// chunks hands every chunk to a nil pool.
type chunks struct {
	futures.Executor
}

func (c *chunks) ChunkSize(futures.Callable) int { return 4 }
func (c *chunks) EncodeArg(dst []byte, _ futures.Callable, _ any) ([]byte, error) {
	return append(dst, 0), nil
}
func (c *chunks) SubmitChunk(chunk futures.Chunk) {
	(*procpool.ProcessPoolExecutor)(nil).SubmitChunk(chunk)
}

// Whoever has not looked at the error of New is told when it makes a call, and not by a panic at the first line of its clean-up.
func TestANilPoolDoesNothing(t *testing.T) {
	var pool *procpool.ProcessPoolExecutor
	ctx := context.Background()
	assert.ErrorContains(t, futures.Submit(ctx, pool, isPrime, 7).Err(ctx), "look at the error of New")
	for _, ex := range []futures.Executor{pool, &chunks{Executor: pool}} {
		for _, err := range futures.Map(ctx, ex, isPrime, slices.Values([]uint64{1, 2})) {
			assert.ErrorContains(t, err, "look at the error of New")
		}
	}
	assert.Zero(t, pool.Stats())
	assert.Empty(t, pool.Enforced())
	pool.TerminateWorkers()
	pool.KillWorkers()
	assert.NoError(t, pool.Shutdown(ctx))
	assert.NoError(t, pool.Close())
}
