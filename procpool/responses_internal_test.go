package procpool

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

func TestWhatTheRingHoldsIsAResponseToItsCall(t *testing.T) {
	in := &inbound{due: 1}
	failure := ipc.Failure{Kind: ipc.FailedTask}
	_, err := in.response(ipc.Entry{ID: 1, Body: ipc.Body(ipc.AppendFailure(nil, 1, failure))})
	assert.NoError(t, err)
	for what, frame := range map[string][]byte{
		"to another call": ipc.AppendFailure(nil, 2, failure),
		"a request":       ipc.AppendRequest(nil, 1, "f", ipc.Meta{}, []byte{0}),
		"without arena":   ipc.AppendPlacedResult(nil, 1, ipc.Place{}),
	} {
		_, err := in.response(ipc.Entry{ID: 1, Body: ipc.Body(frame)})
		assert.ErrorIs(t, err, ipc.ErrProtocol, what)
	}
}
