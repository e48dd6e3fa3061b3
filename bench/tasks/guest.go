package tasks

import (
	"context"
	"slices"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// What interpreters are measured with, besides.

// A Pair is what Add adds.
type Pair struct{ A, B int }

// Add is about the smallest call with an argument of more than one value.
var Add = futures.NewFunc("bench.add", func(_ context.Context, p Pair) (int, error) { return p.A + p.B, nil })

// IsPrime divides by every odd number.
var IsPrime = futures.NewFunc("bench.isPrime", func(_ context.Context, n uint64) (bool, error) {
	for i := uint64(3); i*i <= n; i += 2 {
		if n%i == 0 {
			return false, nil
		}
	}
	return n == 2 || n > 2 && n%2 == 1, nil
})

// SortInts sorts n numbers that look random, and returns the one in the middle.
var SortInts = futures.NewFunc("bench.sortInts", func(_ context.Context, n int) (int, error) {
	v := make([]int, n)
	x := uint64(88172645463325252)
	for i := range v {
		x = Turn(x, 1)
		v[i] = int(x >> 1)
	}
	slices.Sort(v)
	return v[n/2], nil
})

// Endless computes, and does not listen.
var Endless = futures.NewFunc("bench.endless", func(context.Context, struct{}) (struct{}, error) {
	for {
		spun = Turn(spun, 1000)
	}
})

// Pipes are two queues, from the host and back to it.
type Pipes struct{ From, To *worker.Queue }

// Relay puts into one queue what it gets from the other, until its ctx is done.
var Relay = futures.NewFunc("bench.relay", func(ctx context.Context, p Pipes) (struct{}, error) {
	for {
		var v int
		if err := p.From.Get(ctx, &v); err != nil {
			return struct{}{}, err
		}
		if err := p.To.Put(ctx, v); err != nil {
			return struct{}{}, err
		}
	}
})
