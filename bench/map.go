package main

import (
	"context"
	"iter"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
)

// mapAll maps the no-op over the numbers below n.
func mapAll(ctx context.Context, ex futures.Executor, n int, opts ...futures.MapOption) error {
	for _, err := range futures.Map(ctx, ex, tasks.Noop, numbers(n), opts...) {
		if err != nil {
			return err
		}
	}
	return nil
}

func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}
