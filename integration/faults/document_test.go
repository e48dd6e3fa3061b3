//go:build linux

package faults_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const document = "../../docs/faults.md"

var update = flag.Bool("update", false, "write docs/faults.md")

// TestTheDocumentIsThatOfTheTable holds docs/faults.md against the table; make faults writes it.
func TestTheDocumentIsThatOfTheTable(t *testing.T) {
	text := describe()
	if *update {
		require.NoError(t, os.WriteFile(document, text, 0o644))
		return
	}
	there, err := os.ReadFile(document)
	require.NoError(t, err)
	assert.Equal(t, string(text), string(there), "run make faults")
}

// TestWhatTheTableNamesIsATest: a cell may leave something to another test only if there is one.
func TestWhatTheTableNamesIsATest(t *testing.T) {
	describe() // names some more
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	require.NoError(t, filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
		return err
	}))
	for _, test := range tests {
		assert.True(t, there[test], "there is no %s", test)
	}
	assert.NotEmpty(t, tests)
}

// meanings are the legend.
var meanings = []struct {
	outcome outcome
	text    string
}{
	{refused, "The call fails with an error of its own: a `*futures.TaskError`, or one that matches `futures.ErrNotShareable` if a value cannot travel. Its worker goes on, and the pool does not notice."},
	{lost, "The call is lost with its worker. Its `*WorkerCrashError` names the Func, the pid, the exit code or signal, and the breach of the protocol if there was one. It is not run again, since nobody said `Retries`. With `BreakPool` every other unfinished call fails with an error of its own that tells the same; with `ReplaceWorker` nobody else loses anything."},
	{spared, "The worker is lost, and the call had not started. With `ReplaceWorker` another worker runs it, once; with `BreakPool` it fails with the pool."},
	{answered, "The worker is lost when the call was over: its result counts, with either policy. Otherwise as *spared*; of calls that were started meanwhile at most one is lost, and it is named."},
	{doomed, "The worker does not know that it cannot be reached, and ends when it looks for its next call. What it has started by then is answered, or at most one is lost; whatever it had not started is as in *spared*. One that was about to read a call when its pipe was closed never looks again: that is as in *relieved*."},
	{overdue, "The process is there and does not get on. The call's Timeout ends it: after `KillGrace` the worker is killed, and the error matches `futures.ErrTimeout` and is a `*WorkerCrashError`. That breaks no pool. A call without Timeout or deadline would wait as long as the process lives, which is what it asked for."},
	{relieved, "The worker does not start the call, so after 2 seconds (or `KillGrace`) the call is taken back and another worker runs it. The frozen one is killed. Nobody loses anything, with either policy."},
	{unharmed, "All goes on, the worker as well. What a function needs and does not get, a descriptor for instance, is its own failure."},
	{unusable, "The initializer failed, so the pool is broken with either policy: every call fails with an `*InitializerError` that names pid and Func."},
	{planned, "The worker was let go and is no crash, however it ends. One that does not go is killed after `KillGrace`, and `Close` returns."},
	{swept, "The host is dead. All that it had started is gone, within a second on a machine that is not overloaded; the worker's own programs as well."},
}

func describe() []byte {
	var b bytes.Buffer
	b.WriteString(`# What happens when something goes wrong

This page is made from the table in ` + "`integration/faults/table_test.go`" + ` by ` + "`make faults`" + `, and a test fails if it is stale. Every cell is played over real
processes (` + "`go test ./integration/faults -run 'TestGrid/run/SIGKILL'`" + `), with both crash policies, each with and without ` + "`MaxTasksPerChild`" + `. While a fault strikes
one call, another is in flight at a second worker, two wait and one that waits is cancelled. In the recycling variants the struck call is the last one of its worker, and the call in flight
is being cancelled, but for the cells that wait for a timeout. Under the race detector and with ` + "`-short`" + ` each cell is played in one of the four variants, in turn.

Each time it is checked that every future has its outcome; that an error names the right Func, process, and signal or exit code; that nobody else fails, or with a broken
pool everybody with an error of his own; that no call is started twice (each start leaves a line in a file); that a pool which is not broken runs two calls at once again; that its
` + "`Stats`" + ` add up; and that after ` + "`Close`" + ` no process, descriptor, goroutine, temporary entry or shared mapping is left.

|`)
	for _, p := range points {
		fmt.Fprintf(&b, " | %s", p.name)
	}
	b.WriteString(" |\n|---" + strings.Repeat("|---", len(points)) + "|\n")
	var reasons []string
	for f := range faults {
		fmt.Fprintf(&b, "| **%s**", faults[f].name)
		for _, c := range cells() {
			if c.fault != &faults[f] {
				continue
			}
			text := string(c.outcome)
			if c.outcome == impossible {
				i := slices.Index(reasons, c.why)
				if i < 0 {
					i = len(reasons)
					reasons = append(reasons, c.why)
				}
				text = fmt.Sprintf("– (%d)", i+1)
			}
			fmt.Fprintf(&b, " | %s", text)
		}
		b.WriteString(" |\n")
	}
	b.WriteString("\n## The outcomes\n\n")
	for _, m := range meanings {
		fmt.Fprintf(&b, "- **%s**: %s\n", m.outcome, m.text)
	}
	b.WriteString("\n## Cells that cannot exist\n\n")
	for i, r := range reasons {
		fmt.Fprintf(&b, "%d. %s.\n", i+1, strings.ToUpper(r[:1])+r[1:])
	}
	b.WriteString("\n## The points\n\n")
	for _, p := range points {
		fmt.Fprintf(&b, "- **%s**: %s.\n", p.name, p.when)
	}
	b.WriteString("\n## The faults\n\n")
	for _, f := range faults {
		fmt.Fprintf(&b, "- **%s**: `%s`\n", f.name, strings.Trim(fmt.Sprint(f.does), "[]"))
	}
	b.WriteString(`
They are those of package ` + "`pooltest`" + `, with which programs can bring them about in their own tests.

## What other tests hold

`)
	for _, e := range elsewhere {
		fmt.Fprintf(&b, "- %s: %s\n", e.what, heldBy(e.test))
	}
	return regexp.MustCompile(`[ \t]+\n`).ReplaceAll(b.Bytes(), []byte("\n"))
}
