//go:build linux

package faults_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shardVar says which of the scenes this process plays: "1/4".
const shardVar = "FAULTS_TEST_SHARD"

// shards is how many processes play scenes at the same time: one process sees whatever a scene leaves behind only if it plays one at a time. They are
// more than the cores, since some wait for a timeout.
const shards = 6

// TestGrid plays every cell of the table in every variant. Under the race detector, and with -short, it plays each in one of the variants, in turn.
//
//	go test ./integration/faults -run 'TestGrid/run/SIGKILL'
func TestGrid(t *testing.T) {
	if os.Getenv(shardVar) == "" {
		spread(t)
		return
	}
	var mine int
	_, err := fmt.Sscanf(os.Getenv(shardVar), "%d", &mine)
	require.NoError(t, err)
	scenes, played := 0, 0
	for n, c := range cells() {
		if c.outcome == impossible {
			continue
		}
		for i, v := range variants {
			if (raceDetector || testing.Short()) && i != n%len(variants) {
				continue
			}
			if scenes++; scenes%shards != mine {
				continue
			}
			t.Run(fmt.Sprint(c, "/", v), func(t *testing.T) {
				clean(t)
				began := time.Now()
				s := newScene(t, c, v)
				c.point.stage(s)
				t.Logf("%v", time.Since(began).Round(time.Millisecond))
				played++
			})
		}
	}
	fmt.Printf("%d scenes of %d\n", played, scenes)
}

// spread has processes play a part of the scenes each.
func spread(t *testing.T) {
	pattern := flag.Lookup("test.run").Value.String()
	if pattern == "" {
		pattern = "^TestGrid$"
	}
	type report struct {
		text string
		err  error
	}
	reports := make(chan report)
	self, err := os.Executable()
	require.NoError(t, err)
	for n := range shards {
		shard := exec.Command(self, "-test.run="+pattern, "-test.v", fmt.Sprintf("-test.short=%v", testing.Short()), "-test.timeout=4m")
		shard.WaitDelay = time.Second
		shard.Env = append(os.Environ(), fmt.Sprintf("%s=%d", shardVar, n))
		go func() { // ends with the shard
			out, err := shard.CombinedOutput()
			reports <- report{string(out), err}
		}()
	}
	played, scenes := 0, 0
	for range shards {
		r := <-reports
		if !assert.NoError(t, r.err) {
			t.Log(failures(r.text))
		} else if testing.Verbose() {
			t.Log(r.text)
		}
		for line := range strings.Lines(r.text) {
			var n int
			if _, err := fmt.Sscanf(line, "%d scenes of %d", &n, &scenes); err == nil {
				played += n
			}
		}
	}
	if !strings.Contains(pattern, "/") {
		assert.Equal(t, scenes, played, "scenes were not played")
		assert.NotZero(t, scenes)
	}
	t.Logf("%d scenes", played)
}

// failures is what a verbose test says of those that failed.
func failures(text string) string {
	var said bytes.Buffer
	blocks := strings.Split(text, "=== RUN ")
	for _, b := range blocks {
		if strings.Contains(b, "FAIL") || strings.Contains(b, "panic:") || strings.Contains(b, "Error Trace") {
			said.WriteString("=== RUN " + b)
		}
	}
	const end = 4 << 10 // where a panic is
	return said.String() + "\n[...]\n" + text[max(0, len(text)-end):]
}

// TestEveryCellHasAnOutcome or says why it cannot exist.
func TestEveryCellHasAnOutcome(t *testing.T) {
	for _, c := range cells() {
		assert.NotEmpty(t, c.outcome, "%v", c)
		assert.Equal(t, c.outcome == impossible, c.why != "", "%v: %q", c, c.why)
	}
	assert.Len(t, cells(), 14*19)
}
