//go:build linux

package main

import (
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	root     = "../.."
	document = root + "/docs/claims.md"
)

var update = flag.Bool("update", false, "write docs/claims.md")

// TestTheDocumentIsThatOfTheTable holds docs/claims.md against the table; make claims writes it.
func TestTheDocumentIsThatOfTheTable(t *testing.T) {
	text := describe()
	if *update {
		require.NoError(t, os.WriteFile(document, text, 0o644))
		return
	}
	there, err := os.ReadFile(document)
	require.NoError(t, err)
	assert.Equal(t, string(text), string(there), "run make claims")
}

// A row is of no use any more when its code or its test has gone. Whether the test fails, make claims finds out.
func TestEachClaimHasItsCodeAndItsTest(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range claims() {
		_, mutant, err := c.mutant(root)
		if assert.NoError(t, err, c.says) {
			_, err = format.Source(mutant)
			assert.NoError(t, err, "%s: what stands in its place is no Go", c.says)
		}
		assert.NotEqual(t, c.old, c.new, c.says)
		change := fmt.Sprint(c.at, c.old, c.new)
		assert.False(t, seen[change], "%s: the same is taken out twice", c.says)
		seen[change] = true
		top, _, _ := strings.Cut(c.run, "/")
		assert.Regexp(t, `^\^?Test\w+\$?$`, top, c.says)
		assert.True(t, declared(t, c.in)[strings.Trim(top, "^$")], "there is no %s in %s", top, c.in)
	}
	assert.NotEmpty(t, seen)
}

// declared are the tests in a folder.
func declared(t *testing.T, folder string) map[string]bool {
	t.Helper()
	there := make(map[string]bool)
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
	}
	return there
}

func TestWhatGoTestSaysIsRead(t *testing.T) {
	const said = "=== RUN   TestA\n--- FAIL: TestA (0.1s)\n    --- PASS: TestA/one_way (0.1s)\n    --- FAIL: TestA/other (0.1s)\n--- SKIP: TestB (0.0s)\n--- PASS: TestC (0.0s)\nFAIL\n"
	for run, want := range map[string]verdict{
		"TestA/one way": passes, "TestA/other": broken, "TestA/one_way/below": absent, "TestA": broken, "TestB": impossible, "TestC": passes, "TestD": absent,
	} {
		assert.Equal(t, want, read(said, run), run)
	}
}
