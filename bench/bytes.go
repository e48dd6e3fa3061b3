package main

import (
	"context"
	"fmt"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
)

const largePayload = 16 << 20

// echo sends payload there and back.
func echo(ctx context.Context, ex futures.Executor, payload []byte) error {
	got, err := futures.Submit(ctx, ex, tasks.Echo, payload).Result(ctx)
	if err == nil && len(got) != len(payload) {
		err = fmt.Errorf("bytes: %d bytes came back, %d were sent", len(got), len(payload))
	}
	return err
}
