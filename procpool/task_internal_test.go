package procpool

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// boundedChunk is a chunk with a ctx.
type boundedChunk struct {
	simChunk
	ctx context.Context
}

func (c *boundedChunk) Context() context.Context { return c.ctx }

// A deadline for which there is no number is not one in the past.
func TestADeadlineThatIsTooFarAwayDoesNotTravel(t *testing.T) {
	near := time.Now().Add(time.Hour)
	for in, want := range map[time.Time]int64{
		near:                               near.UnixNano(),
		time.Now().Add(math.MaxInt64):      0, // context.WithTimeout(ctx, math.MaxInt64)
		time.Unix(0, math.MaxInt64):        math.MaxInt64,
		time.Unix(0, math.MaxInt64).Add(1): 0,
	} {
		ctx, cancel := context.WithDeadline(t.Context(), in)
		call := &task{span: &span{chunk: &boundedChunk{ctx: ctx}, to: 1}}
		assert.Equal(t, ipc.Meta{Deadline: want}, call.meta(1), "%v", in)
		cancel()
	}
}
