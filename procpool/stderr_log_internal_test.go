package procpool

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// records is a slog.Handler that keeps what it gets, as lines of level, message and fields.
type records struct{ got []string }

func (*records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r *records) WithGroup(string) slog.Handler          { return r }
func (r *records) Handle(_ context.Context, record slog.Record) error {
	words := []string{record.Level.String(), record.Message}
	record.Attrs(func(a slog.Attr) bool {
		words = append(words, a.String())
		return true
	})
	r.got = append(r.got, strings.Join(words, " "))
	return nil
}

func TestLinesOnStandardErrorKeepTheirLevel(t *testing.T) {
	for line, want := range map[string]string{
		"a word":                               "DEBUG a word",
		"":                                     "DEBUG ",
		"[WARN] hot":                           "WARN [WARN] hot",
		"[ERROR] burning":                      "ERROR [ERROR] burning",
		"[INFO] ready":                         "INFO [INFO] ready",
		"[1 2 3]":                              "DEBUG [1 2 3]",
		"[":                                    "DEBUG [",
		"panic: no":                            "ERROR panic: no",
		"fatal error: no":                      "ERROR fatal error: no",
		`{"@level":"warn","@message":"hot"}`:   "WARN hot",
		`{"@level":"trace","@message":"cold"}`: "DEBUG-4 cold",
		`{"@level":"info","@message":"m","@timestamp":"2024","@module":"disk","n":1,"a":[true]}`: "INFO m module=disk timestamp=2024 a=[true] n=1",
		// what is none of hclog's is a line like any other
		`{"@message":5}`:                                               `DEBUG {"@message":5}`,
		`{"@level":"info","@message":null}`:                            `DEBUG {"@level":"info","@message":null}`,
		`{"@level":null,"@message":"m"}`:                               `DEBUG {"@level":null,"@message":"m"}`,
		`{"@level":"loud","@message":"m"}`:                             `DEBUG {"@level":"loud","@message":"m"}`,
		`{"@level":"info"}`:                                            `DEBUG {"@level":"info"}`,
		`{"@timestamp":[],"level":"info"}`:                             `DEBUG {"@timestamp":[],"level":"info"}`,
		`{"@level":"info","@message":"m"`:                              `DEBUG {"@level":"info","@message":"m"`,
		`{"@level":"info","@message":"m"} x`:                           `DEBUG {"@level":"info","@message":"m"} x`,
		`{"@message":"x","@message":5,"@MESSAGE":"x","@level":"info"}`: `DEBUG {"@message":"x","@message":5,"@MESSAGE":"x","@level":"info"}`,
		`{"@level":"info","@message":"m","@timestamp":5}`:              "INFO m timestamp=5",
	} {
		kept := new(records)
		(&stderrLog{to: slog.New(kept)}).line(line)
		assert.Equal(t, []string{want}, kept.got)
	}
}

// A worker may write without end, and entries of any length and depth.
func TestEntriesOnStandardErrorAreNotReadWhereThatCostsTooMuch(t *testing.T) {
	entry := func(size int) string {
		const head, end = `{"@level":"warn","@message":"`, `"}`
		return head + strings.Repeat("x", size-len(head)-len(end)) + end
	}
	kept := new(records)
	log := &stderrLog{to: slog.New(kept)}
	log.line(entry(maxEntry))
	log.line(entry(maxEntry + 1))
	require.Len(t, kept.got, 2)
	assert.True(t, strings.HasPrefix(kept.got[0], "WARN xxx"))
	assert.Equal(t, "DEBUG "+entry(maxEntry+1), kept.got[1])

	unheard, line := &stderrLog{to: slog.New(slog.DiscardHandler)}, entry(100)
	assert.Zero(t, testing.AllocsPerRun(100, func() { unheard.line(line) }), "it is parsed, and nobody listens")
}

// The stacks that follow are of the same level as the reason before them.
func TestWhatTheRuntimeSaysAsItDiesIsAnError(t *testing.T) {
	kept := new(records)
	log := &stderrLog{to: slog.New(kept)}
	for _, line := range []string{"before", "panic: no", "", "goroutine 1 [running]:", "[WARN] who"} {
		log.line(line)
	}
	assert.Equal(t, []string{"DEBUG before", "ERROR panic: no", "ERROR ", "ERROR goroutine 1 [running]:", "WARN [WARN] who"}, kept.got)
}

// Whatever a worker writes, each line of it is one record, and a line that is not hclog's is there as it was.
func FuzzStderrLog(f *testing.F) {
	for _, line := range []string{
		"panic: no", "[WARN] hot", `{"@level":"error","@message":"m","@timestamp":"2024-01-01T00:00:00.000000Z","n":{"a":[1,null]}}`,
		`{"@message":5}`, `{"@level":null}`, `{"@timestamp":[]}`, `{"@message":"m","@level":"info","@message":{}}`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		kept := new(records)
		(&stderrLog{to: slog.New(kept)}).line(line)
		if len(kept.got) != 1 {
			t.Fatalf("%d records", len(kept.got))
		}
		if !strings.HasPrefix(line, "{") && !strings.HasSuffix(kept.got[0], " "+line) {
			t.Errorf("%q has become %q", line, kept.got[0])
		}
	})
}
