//go:build linux

package procpool_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// Every call that a ctx has cancelled says why, at whatever moment the ctx was done.
func TestEveryCancelledCallOfAMapSaysWhy(t *testing.T) {
	clean(t)
	const rounds, each = 60, 20_000
	s := newStorm(t, each, procpool.Config{MaxWorkers: 2})
	reason := errors.New("the user went home")
	random := dice(t, 17)
	cancelled, silent := 0, 0
	for range rounds {
		ctx, cancel := context.WithCancelCause(context.Background())
		after := 1000 + random.IntN(each/8)
		for _, err := range futures.Map(ctx, s.pool, tallies[0], numbers(0, each)) {
			if after--; after == 0 {
				cancel(reason)
			}
			if errors.Is(err, futures.ErrCancelled) {
				cancelled++
				if !errors.Is(err, reason) {
					silent++
				}
			}
		}
		cancel(nil)
	}
	assert.Positive(t, cancelled, "nothing was cancelled: the test says nothing")
	assert.Zero(t, silent, "calls that do not say why they were cancelled, of %d", cancelled)
}
