package procpool

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What follows from a number of the user's is as large as that says, and did not turn into its opposite.
func TestNothingThatFollowsFromALargeNumberIsSmall(t *testing.T) {
	pool, err := New(Config{Worker: Self(), MaxWorkers: math.MaxInt, KillGrace: math.MaxInt64})
	require.NoError(t, err)
	defer pool.Close()
	s := pool.state
	const years = 365 * 24 * time.Hour
	for frozen := range uint8(4) {
		assert.Greater(t, s.answerPatience(&task{frozen: frozen}), 10*years)
	}
	assert.GreaterOrEqual(t, s.policy.maxFutile, 1000)
	assert.True(t, s.mayLaunch(time.Now()))
}
