package futures_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/threadpool"
)

// isPrime is a function as users write them: typed, named, a package variable.
var isPrime = futures.NewFunc("example.IsPrime", func(_ context.Context, n int) (bool, error) {
	if n < 2 {
		return false, fmt.Errorf("%d is neither prime nor composite", n)
	}
	for d := 2; d <= n/d; d++ {
		if n%d == 0 {
			return false, nil
		}
	}
	return true, nil
})

// rest takes as long as it is told to, or until its ctx is done.
var rest = futures.NewFunc("example.Rest", func(ctx context.Context, d time.Duration) (time.Duration, error) {
	select {
	case <-time.After(d):
		return d, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
})

// newPool makes the executor of these examples. procpool.New would do as well.
func newPool() futures.Executor {
	pool, err := threadpool.New(threadpool.Config{MaxWorkers: 2})
	if err != nil {
		panic(err)
	}
	return pool
}

func ExampleSubmit() {
	pool := newPool()
	defer pool.Close()
	ctx := context.Background()

	f := futures.Submit(ctx, pool, isPrime, 115_249) // at once
	prime, err := f.Result(ctx)                      // waits
	fmt.Println(prime, err)

	_, err = futures.Submit(ctx, pool, isPrime, 1).Result(ctx)
	var failed *futures.TaskError
	fmt.Println(errors.As(err, &failed), err)
	// Output:
	// true <nil>
	// true example.IsPrime: 1 is neither prime nor composite
}

func ExampleMap() {
	pool := newPool()
	defer pool.Close()
	for prime, err := range futures.Map(context.Background(), pool, isPrime, slices.Values([]int{7, 1, 8, 9, 11})) {
		fmt.Println(prime, err)
	}
	// Output:
	// true <nil>
	// false example.IsPrime: 1 is neither prime nor composite
	// false <nil>
	// false <nil>
	// true <nil>
}

// A Map over inputs without end takes a bounded number ahead, and breaking out of it cancels what has not started.
func ExampleMap_endless() {
	pool := newPool()
	defer pool.Close()
	fromMillion := func(yield func(int) bool) {
		for n := 1_000_000; yield(n); n++ {
		}
	}
	n := 1_000_000
	for prime, err := range futures.Map(context.Background(), pool, isPrime, fromMillion) {
		if err == nil && prime {
			fmt.Println(n, "is the first prime after a million")
			break
		}
		n++
	}
	// Output: 1000003 is the first prime after a million
}

func ExampleMapUnordered() {
	pool := newPool()
	defer pool.Close()
	numbers := []int{7, 8, 9, 11}
	for item, err := range futures.MapUnordered(context.Background(), pool, isPrime, slices.Values(numbers)) {
		if err == nil && item.Out {
			fmt.Printf("numbers[%d] = %d is prime\n", item.Index, item.In)
		}
	}
	// Unordered output:
	// numbers[0] = 7 is prime
	// numbers[3] = 11 is prime
}

func ExampleAsCompleted() {
	pool := newPool()
	defer pool.Close()
	ctx := context.Background()

	numbers := map[*futures.Future[bool]]int{} // a future is its own key
	var fs []*futures.Future[bool]
	for _, n := range []int{7, 1, 8} {
		f := futures.Submit(ctx, pool, isPrime, n)
		numbers[f] = n
		fs = append(fs, f)
	}
	for f, err := range futures.AsCompleted(ctx, fs) {
		if err != nil { // ctx was done first
			fmt.Println(err)
			return
		}
		prime, err := f.Result(ctx)
		fmt.Println(numbers[f], prime, err)
	}
	// Unordered output:
	// 7 true <nil>
	// 1 false example.IsPrime: 1 is neither prime nor composite
	// 8 false <nil>
}

func ExampleWait() {
	pool := newPool()
	ctx, cancel := context.WithCancel(context.Background())
	fs := []*futures.Future[time.Duration]{
		futures.Submit(ctx, pool, rest, time.Millisecond),
		futures.Submit(ctx, pool, rest, time.Hour),
	}
	done, pending, err := futures.Wait(ctx, fs, futures.FirstCompleted)
	fmt.Println(len(done), "done,", len(pending), "pending:", err)
	fmt.Println(done[0].Result(ctx))

	cancel() // ends the other one, so that Close need not wait for an hour
	if err := pool.Close(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(pending[0].Err(context.Background()))
	// Output:
	// 1 done, 1 pending: <nil>
	// 1ms <nil>
	// example.Rest: context canceled
}

// Futures of different types can be awaited together.
func ExampleAwaitable() {
	pool := newPool()
	defer pool.Close()
	ctx := context.Background()
	prime := futures.Submit(ctx, pool, isPrime, 7)
	rested := futures.Submit(ctx, pool, rest, time.Millisecond)
	_, _, err := futures.Wait(ctx, []futures.Awaitable{prime, rested}, futures.AllCompleted)
	fmt.Println(prime.State(), rested.State(), err)
	// Output: finished finished <nil>
}

func ExampleTimeout() {
	pool := newPool()
	defer pool.Close()
	ctx := context.Background()
	_, err := futures.Submit(ctx, pool, rest, time.Hour, futures.Timeout(time.Millisecond)).Result(ctx)
	fmt.Println(err)
	fmt.Println(errors.Is(err, futures.ErrTimeout))
	// Output:
	// example.Rest: context deadline exceeded
	// true
}

func ExampleFuture_OnDone() {
	pool := newPool()
	defer pool.Close()
	told := make(chan string, 1) // room for one: OnDone itself calls where the future is done by then
	f := futures.Submit(context.Background(), pool, isPrime, 7)
	f.OnDone(func(f *futures.Future[bool]) { told <- f.State().String() })
	fmt.Println(<-told)
	// Output: finished
}

// A Promise makes a future of something that is not a function call.
func ExamplePromise() {
	p := futures.NewPromise[string]()
	go p.Resolve("here")
	fmt.Println(p.Future().Result(context.Background()))
	// Output: here <nil>
}
