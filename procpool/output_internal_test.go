package procpool

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Wherever the pieces of what a worker writes are cut, all of it is handed on but what it was asked for.
func TestOutputEndsWithTheDumpThatWasAskedFor(t *testing.T) {
	const words, dump = "one\nSIGQUIT: qui\ntwo, SIG", "SIGQUIT: quit\nPC=0x1 m=0\n\ngoroutine 1:\n"
	for size := 1; size <= len(words+dump); size++ {
		for asked, want := range map[bool]string{true: words, false: words + dump} {
			var got bytes.Buffer
			u := &untilDump{asked: func() bool { return asked }, to: &got}
			for rest := words + dump; rest != ""; {
				n := min(size, len(rest))
				_, err := u.Write([]byte(rest[:n]))
				assert.NoError(t, err)
				rest = rest[n:]
			}
			u.close()
			assert.Equal(t, want, got.String(), "pieces of %d", size)
		}
	}
}

func TestOutputThatOnlyBeginsLikeADumpIsHandedOn(t *testing.T) {
	var got bytes.Buffer
	u := &untilDump{asked: func() bool { return true }, to: &got}
	_, err := u.Write([]byte("SIGQUIT: "))
	assert.NoError(t, err)
	u.close()
	assert.Equal(t, "SIGQUIT: ", got.String())
}

// nowhere is a WriteCloser.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close() error                { return nil }

// A program that never ends its first line is no worker, and what it says is not kept.
func TestALineBeforeTheHandshakeIsNotKept(t *testing.T) {
	var rest bytes.Buffer
	h := &handshakeFilter{line: nowhere{}, rest: &rest}
	for range 100 {
		_, err := h.Write(bytes.Repeat([]byte{'x'}, maxLine/2))
		assert.NoError(t, err)
		assert.LessOrEqual(t, len(h.buf), maxLine)
	}
	h.close()
	assert.Equal(t, 100*maxLine/2, rest.Len(), "something is lost")
}
