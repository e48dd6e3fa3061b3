package tasks

import (
	"context"
	"fmt"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// Primes counts the primes below n by trial division, which takes as long as it sounds.
var Primes = futures.NewFunc("primes", func(ctx context.Context, n int) (int, error) {
	if n < 0 {
		return 0, fmt.Errorf("%d is negative", n)
	}
	count := 0
	for i := 2; i < n; i++ {
		if i%4096 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if isPrime(i) {
			count++
		}
	}
	return count, nil
})

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}
