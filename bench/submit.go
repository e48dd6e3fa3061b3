package main

import (
	"context"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
)

// submitAll submits no-op calls one by one, as many as there is room for, and then awaits them in order.
func submitAll(ctx context.Context, ex futures.Executor, calls []*futures.Future[int]) error {
	for i := range calls {
		calls[i] = futures.Submit(ctx, ex, tasks.Noop, i)
	}
	for _, call := range calls {
		if _, err := call.Result(ctx); err != nil {
			return err
		}
	}
	return nil
}
