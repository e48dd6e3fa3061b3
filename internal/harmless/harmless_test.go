package harmless

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	evil = "\x1b]0;owned\x07\x1b[2J\u009b1m\u202e\x7f\xff\r"
	tame = "?]0;owned??[2J?1m???" // as a line
)

func TestNothingIsLeftThatATerminalObeys(t *testing.T) {
	assert.Equal(t, tame, Line(evil, 500))
	assert.Equal(t, "a\n\tb "+tame, Lines("a\n\tb "+evil))
	assert.Equal(t, "one\ntwo\n", Lines("one\r\ntwo\r\n"))
	assert.Equal(t, "schön, 日本", Line("  schön,\n日本 ", 500))
}

func TestTextOfAllLanguagesIsLeftAlone(t *testing.T) {
	for _, text := range []string{"東京　大阪", "10\u00a0000", "می\u200cخواهم", "क्\u200dष", "👨\u200d👩\u200d👧 🏳️\u200d🌈", "שלום\u200f!", "\U0001FACD \ue000"} {
		assert.Equal(t, text, Lines(text))
	}
}

func TestALineIsShort(t *testing.T) {
	assert.Equal(t, strings.Repeat("ü", 250)+"...", Line(strings.Repeat("ü", 10_000), 501))
}

// Text comes in pieces that end anywhere.
func TestAWriterSeesRunesThatComeInPieces(t *testing.T) {
	const said = "schön\n" + evil + "日本 \U0001F600\u009b\n"
	for size := range 7 {
		var got bytes.Buffer
		w := NewWriter(&got)
		for rest := []byte(said); len(rest) > 0; {
			n := min(size+1, len(rest))
			written, err := w.Write(rest[:n])
			require.NoError(t, err)
			require.Equal(t, n, written)
			rest = rest[n:]
		}
		assert.Equal(t, "schön\n"+tame+"日本 \U0001F600?\n", got.String())
	}
}
