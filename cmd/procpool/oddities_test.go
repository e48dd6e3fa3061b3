//go:build unix

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// oddities are functions of the scripts' worker beyond the stock ones.
var oddities = []futures.Callable{
	// gate says that it was reached, and waits for somebody to open the FIFO of its name.
	futures.NewFunc("gate", func(_ context.Context, name string) (string, error) {
		fmt.Fprintf(os.Stderr, "gate %s reached by %d\n", name, os.Getpid())
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		return name, f.Close()
	}),
	futures.NewFunc("length", func(_ context.Context, s string) (int, error) { return len(s), nil }),
	futures.NewFunc("half", func(_ context.Context, f float64) (float64, error) { return f / 2, nil }),
	futures.NewFunc("raw", func(_ context.Context, b []byte) ([]byte, error) { return b, nil }),

	// odd gives a value that JSON has no or an unusual form for.
	futures.NewFunc("odd", func(_ context.Context, what string) (any, error) {
		switch what {
		case "nan":
			return math.NaN(), nil
		case "inside":
			return []any{1, map[string]any{"x": math.Inf(-1)}}, nil
		case "big":
			return uint64(math.MaxUint64), nil
		case "keys":
			return map[any]any{1: "a", true: "b", "s": map[int]string{2: "c"}}, nil
		case "twins":
			return map[any]any{1: "a", "1": "b"}, nil
		case "latin1":
			return "caf\xe9", nil
		case "bytes":
			return []byte{0xff, 0}, nil
		case "time":
			return time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC), nil
		case "markup":
			return "<a&b>\u2028", nil
		}
		return nil, fmt.Errorf("there is no %q", what)
	}),
}
