package tasks

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A Volume is how many bytes [Flood] writes where.
type Volume struct {
	Stdout int `msgpack:"stdout"`
	Stderr int `msgpack:"stderr"`
}

// Flood writes to standard output and standard error, in lines of 80 bytes, and gives the seconds that took.
var Flood = futures.NewFunc("flood", func(ctx context.Context, v Volume) (float64, error) {
	start := time.Now()
	if err := flood(ctx, os.Stdout, v.Stdout); err != nil {
		return 0, fmt.Errorf("stdout: %w", err)
	}
	if err := flood(ctx, os.Stderr, v.Stderr); err != nil {
		return 0, fmt.Errorf("stderr: %w", err)
	}
	return time.Since(start).Seconds(), nil
})

func flood(ctx context.Context, f *os.File, n int) error {
	line := append(bytes.Repeat([]byte{'~'}, 79), '\n')
	block := bytes.Repeat(line, 400)
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		wrote, err := f.Write(block[:min(n, len(block))])
		if err != nil {
			return err
		}
		n -= wrote
	}
	return nil
}
