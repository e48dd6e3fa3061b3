//go:build unix

package worker

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A host that sleeps is told of responses before long, also while calls go on of which none is long enough that somebody else would read, and
// whoever runs them says nothing.
func TestWhoeverStandsByTellsOfResponses(t *testing.T) {
	requests, host, err := os.Pipe()
	require.NoError(t, err)
	defer requests.Close()
	told, responses, err := os.Pipe()
	require.NoError(t, err)
	defer told.Close()
	defer responses.Close()
	mem := make([]byte, ipc.RingMemory(4096))
	s := newSession(offered{}, ipc.NewReader(requests, ipc.MaxHello), nil, responses, ipc.MaxBody)
	s.ring, err = ipc.NewRing(mem)
	require.NoError(t, err)
	theirs, err := ipc.NewRing(mem)
	require.NoError(t, err)
	require.True(t, theirs.Sleep())
	require.True(t, s.ring.Put(ipc.Entry{ID: 1, Result: []byte{1}}))

	s.current = new(request)
	s.begun.Store(new(callContext))
	s.reading.Store(true) // so that this one does not
	go s.work(nil)
	require.NoError(t, told.SetReadDeadline(time.Now().Add(10*time.Second)))
	m, err := ipc.NewReader(told, ipc.MaxHello).Next()
	require.NoError(t, err, "the host is not told")
	require.Equal(t, ipc.Body(ready), m)
	s.reading.Store(false)
	require.NoError(t, host.Close())
	require.ErrorIs(t, <-s.over, io.EOF)
}
