//go:build linux

package procpool_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A large value that came through a pipe is not kept by those who have read it: not while its call runs, nor until the next one comes.
func TestLargeValuesAreNotKept(t *testing.T) {
	clean(t)
	const size = 48 << 20 // more than finds room in the arena
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	before := heap()
	n, err := futures.Submit(context.Background(), pool, weigh, make([]byte, size)).Result(bounded(t))
	require.NoError(t, err)
	assert.Less(t, n, size/4, "the worker keeps the message")
	_, err = futures.Submit(context.Background(), pool, echoBytes, make([]byte, size)).Result(bounded(t))
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return heap() < before+size/4 }, patience/2, 10*time.Millisecond, "the host keeps the message")
	mustClose(t, pool)
}
