package interpreters_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// row N24
func TestErrorsFormAHierarchy(t *testing.T) {
	for _, err := range []error{interpreters.ErrNotFound, interpreters.ErrRunning, interpreters.ErrUnrecognized, interpreters.ErrNoEngine, &interpreters.Died{}} {
		assert.ErrorIs(t, err, interpreters.ErrInterpreter)
		assert.NotErrorIs(t, err, futures.ErrNotShareable)
	}
	queues := []error{interpreters.ErrQueueEmpty, interpreters.ErrQueueFull, interpreters.ErrQueueNotFound, interpreters.ErrItemInterpreterDestroyed}
	apart := append(queues, interpreters.ErrNotFound, interpreters.ErrRunning, interpreters.ErrUnrecognized, interpreters.ErrNoEngine,
		interpreters.ErrImage, interpreters.ErrSlowPlatform, interpreters.ErrOutOfFuel, interpreters.ErrOwnWorker)
	for i, a := range apart {
		for j, b := range apart {
			assert.Equal(t, i == j, errors.Is(a, b), "%v, %v", a, b)
		}
	}
	for _, err := range queues {
		assert.NotErrorIs(t, err, interpreters.ErrInterpreter, "as in Python")
	}
	assert.ErrorIs(t, interpreters.ErrBrokenInterpreterPool, futures.ErrBrokenExecutor)
}
