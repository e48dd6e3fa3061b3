package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The README's program is built as it stands there, and runs.
func TestTheProgramInTheReadmeRuns(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```go\n(package main.*?)```").FindSubmatch(readme)
	require.NotNil(t, block, "the README has a program")

	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(source, block[1], 0o600))
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	// An overlay gives the program a place in this module without writing into the tree.
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, "integration", "readme", "main.go"): source}})
	require.NoError(t, err)
	overlayFile := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(overlayFile, overlay, 0o600))

	program := filepath.Join(dir, "readme")
	build := exec.Command("go", "build", "-overlay", overlayFile, "-o", program, "./integration/readme")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command(program).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, "true <nil>\ntrue <nil>\ntrue <nil>\nfalse <nil>\n", string(out))
}
