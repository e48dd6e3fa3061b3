package procpool

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// No worker is left by then, but perhaps a goroutine that puts something away.
func TestCloseWaitsForTheLastGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, err := New(Config{Worker: Self()})
		require.NoError(t, err)
		let := make(chan struct{})
		pool.links.Go(func() { <-let })
		closed := make(chan error, 1)
		go func() { closed <- pool.Close() }()
		synctest.Wait()
		assert.Empty(t, closed, "it has returned")
		close(let)
		assert.NoError(t, <-closed)
	})
}
