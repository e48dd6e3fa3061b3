package worker

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The runner and the writer flush as it comes; the frames must come out whole and in the order in which they were added.
func TestFramesLeaveInTheOrderInWhichTheyWereAdded(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	read := make(chan []byte)
	go func() { // ends with the pipe
		all, err := io.ReadAll(r)
		assert.NoError(t, err)
		read <- all
	}()
	out := newOutbox(w)
	const frames = 20_000
	var want []byte
	for i := range frames {
		frame := bytes.Repeat(binary.BigEndian.AppendUint32(nil, uint32(i)), 1+i%100) // up to 400 bytes: many times the high water in all
		want = append(want, frame...)
		out.add(frame)
		switch {
		case i%7 == 0:
			out.flushSoon()
		case i%501 == 0:
			out.flush()
		}
	}
	out.flush()
	require.NoError(t, w.Close())
	close(out.wake)
	assert.True(t, bytes.Equal(want, <-read))
}
