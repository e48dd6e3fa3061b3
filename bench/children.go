package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Children are the programs that the benchmarks start, in a temporary folder.
type Children struct{ dir string }

// buildChildren builds them all.
func buildChildren(ctx context.Context) (Children, error) {
	dir, err := os.MkdirTemp("", "concurrent-bench-")
	if err != nil {
		return Children{}, err
	}
	gotool := os.Getenv("GO")
	if gotool == "" {
		gotool = "go"
	}
	build := exec.CommandContext(ctx, gotool, "build", "-o", dir, "./worker", "./peers/...")
	if out, err := build.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return Children{}, fmt.Errorf("bench: %v: %w\n%s(run it in the folder bench of the project)", build, err, out)
	}
	return Children{dir}, nil
}

func (c Children) path(name string) string { return filepath.Join(c.dir, name) }

// remove deletes them. What still runs of them goes on.
func (c Children) remove() { _ = os.RemoveAll(c.dir) }
