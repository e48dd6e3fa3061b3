//go:build linux

package procpool_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// Whoever waits for a call may begin to at any moment, also at the one at which the worker becomes ready and is sent the call.
func TestAWaiterMayComeAtTheMomentTheWorkerIsReady(t *testing.T) {
	for round := range 40 {
		if !t.Run(fmt.Sprint(round), func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1})
			f := futures.Submit(context.Background(), pool, echo, "here")
			require.NotPanics(t, func() {
				until := bounded(t)
				for until.Err() == nil {
					got, err := f.Result(&impatient{Context: until})
					if err == nil {
						assert.Equal(t, "here", got)
						return
					}
					require.ErrorIs(t, err, context.Canceled)
				}
				require.Fail(t, "the call is lost", "%+v", pool.Stats())
			})
		}) {
			return // it has shown
		}
	}
}

// impatient is the ctx of a wait that has just begun when it is given up.
type impatient struct {
	context.Context
	asked bool
}

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (c *impatient) Done() <-chan struct{} { return closedChan }

func (c *impatient) Err() error {
	if !c.asked {
		c.asked = true
		return nil
	}
	return context.Canceled
}
