package tasks

import (
	"context"
	"os"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// PID tells which process it is.
var PID = futures.NewFunc("pid", func(context.Context, struct{}) (int, error) { return os.Getpid(), nil })

// Env looks up a variable of the worker's environment; nil if it is not set.
var Env = futures.NewFunc("env", func(_ context.Context, name string) (*string, error) {
	value, ok := os.LookupEnv(name)
	if !ok {
		return nil, nil
	}
	return &value, nil
})
