// Package harmless makes text of a worker's, which may be hostile, fit for messages and terminals: nothing is left in it that a terminal obeys, or
// that turns the text around it.
package harmless

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line is a text as one line of at most so many bytes, and dots where more would follow.
func Line(text string, most int) string {
	line := strings.Join(strings.Fields(text), " ")
	if len(line) <= most {
		return Lines(line)
	}
	return Lines(strings.ToValidUTF8(line[:most], "")) + "..."
}

// Lines is a text with its lines and tabs as they are, and nothing that goes back to the beginning of a line.
func Lines(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return -1
		case r == '\n' || r == '\t' || Shown(r):
			return r
		}
		return '?'
	}, strings.ToValidUTF8(text, "?"))
}

// Shown reports whether a rune is text and no order. What joins letters, keeps them apart or says which way they run is, where words in many languages take it; what turns the
// direction of all that follows is not. Runes that this program does not know are text: languages get new ones.
func Shown(r rune) bool {
	const zwnj, rlm = 0x200C, 0x200F // and what is between
	return zwnj <= r && r <= rlm || !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Zl, unicode.Zp)
}

// NewWriter returns a Writer that passes text on as Lines has it.
func NewWriter(to io.Writer) io.Writer { return &writer{to: to} }

type writer struct {
	to  io.Writer
	cut []byte // the beginning of a rune that has not come whole
}

func (w *writer) Write(p []byte) (int, error) {
	text := append(w.cut, p...)
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if last := text[len(text)-back:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole -= back
			}
			break
		}
	}
	w.cut = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(w.to, Lines(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
