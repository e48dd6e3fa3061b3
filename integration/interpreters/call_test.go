package interpreters_test

import (
	"testing"

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
