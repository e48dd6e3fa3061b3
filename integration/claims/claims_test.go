//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
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

// A row is of no use any more when its code or its test has gone, or when the mutant is no program. Whether the test fails, make claims finds out.
func TestEachClaimHasItsCodeAndItsTest(t *testing.T) {
	seen, checks, tests := make(map[string]bool), make(map[string]check), make(map[string]map[string]bool)
	for _, c := range claims() {
		if checks[c.at] == nil {
			checks[c.at] = newCheck(t, c.at)
		}
		if tests[c.in] == nil {
			tests[c.in] = declared(t, c.in)
		}
		file, mutant, err := c.mutant(root)
		if assert.NoError(t, err, c.says) {
			assert.NoError(t, checks[c.at](file, mutant), "%s: what stands in its place cannot be built", c.says)
		}
		assert.NotEqual(t, c.old, c.new, c.says)
		change := fmt.Sprint(c.at, c.old, c.new)
		assert.False(t, seen[change], "%s: the same is taken out twice", c.says)
		seen[change] = true
		top, _, _ := strings.Cut(c.run, "/")
		assert.Regexp(t, `^\^?Test\w+\$?$`, top, c.says)
		assert.True(t, tests[c.in][strings.Trim(top, "^$")], "there is no %s in %s", top, c.in)
	}
	assert.NotEmpty(t, seen)
}

// A check says what is wrong with another text for a file of a folder, as a compiler would. What the functions of the other files do it does not look at: that takes too long.
type check func(file string, text []byte) error

func newCheck(t *testing.T, folder string) check {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", "./"+folder)
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err)
	exports := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, export, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[path] = export
	}
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	pkg, err := build.ImportDir(filepath.Join(root, folder), 0)
	require.NoError(t, err)
	outlines := make(map[string]*ast.File)
	for _, name := range pkg.GoFiles {
		path := filepath.Join(pkg.Dir, name)
		outlines[path], err = parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range outlines[path].Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				f.Body = nil
			}
		}
	}
	return func(file string, text []byte) error {
		mutant, err := parser.ParseFile(fset, file, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files := []*ast.File{mutant}
		for path, outline := range outlines {
			if path != file {
				files = append(files, outline)
			}
		}
		var wrong []error
		config := types.Config{Importer: from, Error: func(err error) {
			var at types.Error
			if errors.As(err, &at) && at.Fset.Position(at.Pos).Filename == file {
				wrong = append(wrong, err)
			}
		}}
		_, _ = config.Check(pkg.Name, fset, files, nil) // it has told of its errors
		return errors.Join(wrong...)
	}
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
