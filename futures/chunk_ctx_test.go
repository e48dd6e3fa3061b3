package futures_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// hastyDesk is a chunkDesk at which the ctx of the Map is done while an argument is encoded.
type hastyDesk struct {
	chunkDesk
	cancel context.CancelFunc
}

func (d *hastyDesk) EncodeArg(dst []byte, fn futures.Callable, arg any) ([]byte, error) {
	d.cancel()
	return d.chunkDesk.EncodeArg(dst, fn, arg)
}

// A ctx may be done at any moment, also between two steps of taking an input: the input that was taken has its outcome.
func TestACtxThatIsDoneWhileAnInputIsTaken(t *testing.T) {
	for name, mapping := range mappings {
		t.Run(name, func(t *testing.T) {
			for round := range 20_000 { // word of it comes in a goroutine, early or late
				ctx, cancel := context.WithCancel(context.Background())
				d := &hastyDesk{chunkDesk{size: 2}, cancel}
				outcomes := 0
				ended := assert.NotPanics(t, func() {
					for _, err := range mapping(ctx, d, double, slices.Values([]int{1, 2, 3, 4})) {
						outcomes++
						assert.ErrorIs(t, err, futures.ErrCancelled)
					}
				}, "round %d", round)
				if !ended || !assert.Positive(t, outcomes, "round %d: the input that was taken has no outcome", round) {
					return
				}
			}
		})
	}
}
