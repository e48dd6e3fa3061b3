package procpool

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// However short results are, there is room for what else a worker says.
func TestTheLongestFrameHasRoomForAResultAndForAFailure(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	failure := ipc.AppendFailure(nil, 1<<63, ipc.Failure{Kind: ipc.FailedTask, Type: long, Message: long, Stack: long})
	least := int(resultLimit{most: 1}.maxFrame(ipc.MaxBody))
	assert.GreaterOrEqual(t, least, len(ipc.Body(failure)))
	assert.GreaterOrEqual(t, least, ipc.MaxHello, "a notification")
	assert.Greater(t, least, ipc.MaxEnvelope+20, "the longest failure")
	const most = 8 << 20
	text := strings.Repeat("x", most-5)
	result, err := ipc.AppendResult(nil, 1<<63, &text, most)
	assert.NoError(t, err)
	assert.GreaterOrEqual(t, int(resultLimit{most: most}.maxFrame(ipc.MaxBody)), len(ipc.Body(result)))
	assert.EqualValues(t, ipc.MaxBody, resultLimit{most: ipc.MaxBody}.maxFrame(ipc.MaxBody))
	assert.EqualValues(t, most, resultLimit{most: most}.maxFrame(most), "the worker has no more memory than that")
}
