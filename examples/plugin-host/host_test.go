//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runMain makes this test binary the host.
const runMain = "PLUGIN_HOST_TEST_RUNS_MAIN"

// plugin is built in its own module, once for all tests.
var plugin string

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "plugin-host")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		plugin = filepath.Join(dir, "markup")
		build := exec.Command("go", "build", "-o", plugin, ".")
		build.Dir = "plugin"
		if out, err := build.CombinedOutput(); err != nil {
			panic(string(out))
		}
		return m.Run()
	}())
}

func host(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), runMain+"=1")
	return cmd
}

func TestHostSurvivesThePlugin(t *testing.T) {
	documents, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	cmd := host(append([]string{"-plugin", plugin, "-workers", "1"}, documents...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", &stderr)

	lines := regexp.MustCompile(`\d+ (exited|was)`).ReplaceAllString(string(out), "PID $1")
	lines = regexp.MustCompile(`(rendered by \S+|with length 0).*`).ReplaceAllString(lines, "$1") // what follows changes with Go's version
	lines = regexp.MustCompile(`[1-9]\d* (workers|were)`).ReplaceAllString(lines, "SOME $1")      // calls are sent ahead, or not, as time will have it
	assert.Equal(t, `rendered by example.org/markup
testdata/1-welcome.txt: <h1>Welcome</h1><p>This page is <em>fine</em>.</p>
testdata/2-gap.txt: GUILTY of a crash: procpool: worker PID exited with code 2 while it ran markup.Render
last words: panic: runtime error: index out of range [0] with length 0
testdata/3-star.txt: GUILTY of a hang: procpool: worker PID was ended by signal 3 (quit) while it ran markup.Render: futures: call timed out
what it was doing: see Goroutines
testdata/4-latin1.txt: refused: the text is not UTF-8
testdata/5-page.txt: <p>Page 5.</p>
testdata/6-page.txt: <p>Page 6.</p>
testdata/7-page.txt: <p>Page 7.</p>
testdata/8-page.txt: <p>Page 8.</p>
SOME workers were started: 1 crashed, SOME were replaced before they leaked too much
`, lines)
	assert.Contains(t, stderr.String(), "markup: pages in the cache: 2\n", "what the plugin prints is seen")
	assert.NotContains(t, stderr.String(), "markup: pages in the cache: 4\n", "a worker makes three calls at most")
}

func TestSeveralWorkersTellTheSame(t *testing.T) {
	var documents []string
	for range 5 {
		documents = append(documents, "testdata/1-welcome.txt", "testdata/2-gap.txt", "testdata/5-page.txt")
	}
	cmd := host(append([]string{"-plugin", plugin, "-workers", "2"}, documents...)...)
	out, err := cmd.Output()
	require.NoError(t, err)
	verdict := regexp.MustCompile(`(?m)^testdata/\S+: .{9}`)
	assert.Equal(t, strings.Repeat("testdata/1-welcome.txt: <h1>Welco\ntestdata/2-gap.txt: GUILTY of\ntestdata/5-page.txt: <p>Page 5\n", 5),
		strings.Join(verdict.FindAllString(string(out), -1), "\n")+"\n", "in their order, and blamed one by one")
}

func TestProgramThatIsNoPlugin(t *testing.T) {
	out, err := host("-plugin", "true", "testdata/1-welcome.txt").CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, string(out), "plugin-host: procpool: start worker true: ")
	assert.Contains(t, string(out), "is it a worker, that is, does its main call worker.Main")
}
