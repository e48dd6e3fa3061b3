package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// factor is the work. It takes a text, so that one that is no number is the failure of its item and of nothing else.
var factor = futures.NewFunc("batch.Factor", func(ctx context.Context, text string) ([]uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, err
	}
	if n < 2 {
		return nil, fmt.Errorf("%d has no prime factors", n)
	}
	var primes []uint64
	for p := uint64(2); p <= n/p; p++ {
		if p%(1<<20) == 0 && ctx.Err() != nil { // who listens is not killed
			return nil, ctx.Err()
		}
		for n%p == 0 {
			primes = append(primes, p)
			n /= p
		}
	}
	if n > 1 {
		primes = append(primes, n)
	}
	return primes, nil
})
