package main

import (
	"fmt"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/panjf2000/ants/v2"
)

// Pools of goroutines: what a call costs that does not leave its process. Each makes n no-op calls, submitted one by one
// and awaited in order, and returns the calls per second.

func pondCalls(workers, n int) (float64, error) {
	pool := pond.NewResultPool[int](workers)
	defer pool.StopAndWait()
	calls := make([]pond.Result[int], n)
	begin := time.Now()
	for i := range calls {
		calls[i] = pool.Submit(func() int { return i })
	}
	for _, call := range calls {
		if _, err := call.Wait(); err != nil {
			return 0, fmt.Errorf("pond: %w", err)
		}
	}
	return rate(n, begin), nil
}

// antsCalls gives each call a channel for its result, for which ants has no means of its own.
func antsCalls(workers, n int) (float64, error) {
	pool, err := ants.NewPool(workers)
	if err != nil {
		return 0, fmt.Errorf("ants: %w", err)
	}
	defer pool.Release()
	calls := make([]chan int, n)
	begin := time.Now()
	for i := range calls {
		result := make(chan int, 1)
		calls[i] = result
		if err := pool.Submit(func() { result <- i }); err != nil {
			return 0, fmt.Errorf("ants: %w", err)
		}
	}
	for _, call := range calls {
		<-call
	}
	return rate(n, begin), nil
}
