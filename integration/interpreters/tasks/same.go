package tasks

import (
	"context"

	"github.com/seed7d1be1d5/concurrent/futures"
)

func init() { All = append(All, Same) }

// Same returns what it is given.
var Same = futures.NewFunc("tasks.Same", func(_ context.Context, v any) (any, error) { return v, nil })
