package interpreters_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// A queue hands copies of values on, and the handle of a queue is a value as well.
func ExampleQueue() {
	ctx := context.Background()
	jobs, results := interpreters.CreateQueue(10), interpreters.CreateQueue(0)
	defer jobs.Close()
	defer results.Close()

	type job struct {
		Word string
		To   *interpreters.Queue
	}
	go func() {
		for {
			j, err := interpreters.GetAs[job](ctx, jobs)
			if errors.Is(err, interpreters.ErrQueueNotFound) {
				return // it was closed
			}
			if err := j.To.Put(ctx, len(j.Word)); err != nil {
				return
			}
		}
	}()
	for _, word := range []string{"a", "queue", "between", "interpreters"} {
		if err := jobs.Put(ctx, job{word, results}); err != nil {
			fmt.Println(err)
		}
	}
	for range 4 {
		n, err := interpreters.GetAs[int](ctx, results)
		fmt.Println(n, err)
	}
	// Output:
	// 1 <nil>
	// 5 <nil>
	// 7 <nil>
	// 12 <nil>
}

// Whoever does not want to wait for long gives a ctx that ends.
func ExampleQueue_Get() {
	q := interpreters.CreateQueue(1)
	defer q.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	var word string
	err := q.Get(ctx, &word)
	fmt.Println(errors.Is(err, interpreters.ErrQueueEmpty), errors.Is(err, context.DeadlineExceeded))
	// Output: true true
}
