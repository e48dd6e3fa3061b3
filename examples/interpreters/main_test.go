package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runMain makes this test binary the program itself.
const runMain = "INTERPRETERS_TEST_RUNS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is the program with a cache that other tests share.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], append([]string{"-cache", filepath.Join(cache, "concurrent-tests")}, args...)...)
	cmd.Env = append(os.Environ(), runMain+"=1")
	return cmd
}

func TestHostileGuestsAreContained(t *testing.T) {
	guest := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-o", guest, "./guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	text, err := build.CombinedOutput()
	require.NoError(t, err, "%s", text)

	cmd := program(t, guest)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	first, rest, _ := strings.Cut(string(out), "\n")
	assert.Regexp(t, `^guest\.wasm: \d\.\d MB, ready after \S+$`, first)
	assert.Regexp(t, `^
Hostile guests, with 32 MiB each
  eats memory    interpreter 1 died: out of memory: fatal error: .*
  loops          interpreter 2 died: interrupted: context deadline exceeded
  recurses       interpreter 3 died: stack overflow: fatal error: stack overflow
  exits          interpreter 4 died: exit with status 3
  reads a file   refused: open .*
  writes a file  refused: open .*
  dials          refused: dial tcp 127\.0\.0\.1:.*: Connection refused
  looks around   0 of [1-9]\d* variables

A loop is cancelled, and its interpreter used again
  Interpreter\(9\): primes below \d+: context deadline exceeded
  Interpreter\(9\): primes below 10000: 1229

A queue feeds two interpreters
  one squared \d+ numbers and the other \d+: the sum is 333833500
$`, rest)
}

func TestWrongArguments(t *testing.T) {
	for _, wrong := range []struct {
		args   []string
		status int
		says   string
	}{
		{nil, 2, "usage: interpreters [-cache DIR] guest.wasm"},
		{[]string{"nowhere.wasm"}, 1, "interpreters: open nowhere.wasm"},
		{[]string{"main.go"}, 1, "interpreters: interpreters: image"},
	} {
		cmd := program(t, wrong.args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Run(), &exit)
		assert.Equal(t, wrong.status, exit.ExitCode())
		assert.Contains(t, stderr.String(), wrong.says)
	}
}
