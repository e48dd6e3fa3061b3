package procpool

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// A stderrLog hands a worker's lines on standard error to a Logger, as go-plugin does with those of its plugins: what is in the format of hclog, or begins like a line of the
// standard logger's with a level, keeps that. It does so in go-plugin's place, which takes the fields of such a line for strings unseen, and has the program panic where they are none.
type stderrLog struct {
	to    *slog.Logger
	dying bool // the Go runtime has begun to say why
}

func (l *stderrLog) line(text string) {
	if l.isHeard() {
		if e, ok := parseEntry(text); ok {
			l.to.Log(context.Background(), e.level, e.message, e.fields...)
			return
		}
	}
	l.dying = l.dying || strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")
	l.to.Log(context.Background(), l.levelOf(text), text)
}

// isHeard says whether anybody listens at any level that an entry may have, which only parsing it would tell.
func (l *stderrLog) isHeard() bool {
	for _, level := range slogLevels {
		if l.to.Enabled(context.Background(), level) {
			return true
		}
	}
	return false
}

func (l *stderrLog) levelOf(text string) slog.Level {
	if rest, ok := strings.CutPrefix(text, "["); ok {
		tag, _, _ := strings.Cut(rest, "]")
		if level, ok := slogLevels[hclog.LevelFromString(tag)]; ok {
			return level
		}
	}
	if l.dying {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// An entry is a line in the format of hclog.
type entry struct {
	level   slog.Level
	message string
	fields  []any // names and values
}

// maxEntry is how long an entry may be, and so how deep it may nest: what a hostile worker writes costs the host no more than that. A longer line is one
// like any other.
const maxEntry = 8 << 10

func parseEntry(text string) (e entry, ok bool) {
	if !strings.HasPrefix(text, "{") || len(text) > maxEntry {
		return e, false
	}
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) != nil {
		return e, false
	}
	message, isText := fields["@message"].(string)
	named, _ := fields["@level"].(string)
	level, isLevel := slogLevels[hclog.LevelFromString(named)]
	if !isText || !isLevel {
		return e, false
	}
	delete(fields, "@message")
	delete(fields, "@level")
	e = entry{level: level, message: message}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		e.fields = append(e.fields, strings.TrimPrefix(name, "@"), fields[name])
	}
	return e, true
}
