package tasks

import (
	"context"
	"os/exec"

	"github.com/seed7d1be1d5/concurrent/futures"
)

func init() { All = append(All, Spawn) }

// Spawn starts a program.
var Spawn = futures.NewFunc("tasks.Spawn", func(ctx context.Context, path string) (struct{}, error) {
	return struct{}{}, exec.CommandContext(ctx, path).Run()
})
