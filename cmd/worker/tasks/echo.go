package tasks

import (
	"context"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// Echo gives back what it gets.
var Echo = futures.NewFunc("echo", func(_ context.Context, v any) (any, error) { return v, nil })
