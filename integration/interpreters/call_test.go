package interpreters_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

func TestCallReturnsACopyOfTheResult(t *testing.T) {
	ip := create(t, interpreters.Config{})
	sum, err := interpreters.Call(within(t), ip, tasks.Add, tasks.Pair{A: 40, B: 2})
	require.NoError(t, err)
	assert.Equal(t, 42, sum)
}

func TestADeadlineThatIsCenturiesAwayIsNone(t *testing.T) {
	ip := create(t, interpreters.Config{})
	ctx, cancel := context.WithDeadline(context.Background(), time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC))
	defer cancel()
	_, err := interpreters.Call(ctx, ip, tasks.Sleep, time.Millisecond)
	assert.NoError(t, err)
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = interpreters.Call(ctx, ip, tasks.Listen, struct{}{})
	assert.ErrorIs(t, err, context.Canceled)
}
