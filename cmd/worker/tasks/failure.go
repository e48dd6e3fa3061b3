package tasks

import (
	"context"
	"errors"
	"runtime"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// Error fails with the text it gets.
var Error = futures.NewFunc("error", func(_ context.Context, text string) (struct{}, error) {
	return struct{}{}, errors.New(text)
})

// Panic panics with the text it gets.
var Panic = futures.NewFunc("panic", func(_ context.Context, text string) (struct{}, error) { panic(text) })

// Goexit ends its goroutine instead of returning.
var Goexit = futures.NewFunc("goexit", func(context.Context, struct{}) (struct{}, error) {
	runtime.Goexit()
	return struct{}{}, nil
})
