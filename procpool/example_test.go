package procpool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// The functions of these examples. TestMain offers them: worker.MainIfWorker(isPrime, find, crash, ...).
var (
	isPrime = futures.NewFunc("example.IsPrime", func(_ context.Context, n uint64) (bool, error) {
		for d := uint64(2); d <= n/d; d++ {
			if n%d == 0 {
				return false, nil
			}
		}
		return n > 1, nil
	})

	find = futures.NewFunc("example.Find", func(_ context.Context, key string) (string, error) {
		return "", fmt.Errorf("%w: %s", errNoSuchKey, key)
	})

	crash = futures.NewFunc("example.Crash", func(_ context.Context, code int) (struct{}, error) {
		fmt.Fprintln(os.Stderr, "this cannot go on")
		os.Exit(code)
		panic("never")
	})

	hang = futures.NewFunc("example.Hang", func(context.Context, struct{}) (struct{}, error) {
		for { // and does not listen to its ctx
			time.Sleep(time.Hour)
		}
	})
)

// errNoSuchKey keeps its identity on the way from the worker, because both sides register it.
var errNoSuchKey = errors.New("no such key")

func init() { worker.RegisterError("example.NoSuchKey", errNoSuchKey) }

// The worker may be another program, procpool.Command("./primes-worker"), whose main is worker.Main(isPrime).
func Example() {
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	ctx := context.Background()

	f := futures.Submit(ctx, pool, isPrime, 112272535095293)
	fmt.Println(f.Result(ctx))

	numbers := []uint64{112582705942171, 112272535095293, 115280095190773, 115797848077099, 1099726899285419}
	for prime, err := range futures.Map(ctx, pool, isPrime, slices.Values(numbers)) {
		fmt.Println(prime, err)
	}
	// Output:
	// true <nil>
	// true <nil>
	// true <nil>
	// true <nil>
	// true <nil>
	// false <nil>
}

// Errors are values of the same kind wherever the function ran, and registered sentinels keep their identity.
func Example_errors() {
	pool := open(procpool.Config{Worker: procpool.Self()})
	defer pool.Close()
	ctx := context.Background()

	_, err := futures.Submit(ctx, pool, find, "color").Result(ctx)
	fmt.Println(err)
	fmt.Println(errors.Is(err, errNoSuchKey))
	// Output:
	// example.Find: no such key: color
	// true
}

// A program that is its own worker. Its main begins with worker.MainIfWorker(isPrime), which returns in the parent only:
//
//	func main() {
//		worker.MainIfWorker(isPrime)
//		pool, err := procpool.New(procpool.Config{Worker: procpool.Self()})
//		...
//	}
func ExampleSelf() {
	pool := open(procpool.Config{Worker: procpool.Self()})
	defer pool.Close()
	ctx := context.Background()

	fmt.Println(futures.Submit(ctx, pool, isPrime, 97).Result(ctx))
	fmt.Println("in this process:", slices.Contains(pool.Stats().PIDs, os.Getpid()))
	// Output:
	// true <nil>
	// in this process: false
}

// A crash breaks the pool, as in Python, unless OnCrash says otherwise. The error knows what happened.
func ExampleWorkerCrashError() {
	pool := open(procpool.Config{Worker: procpool.Self()})
	defer pool.Close()
	ctx := context.Background()

	_, err := futures.Submit(ctx, pool, crash, 3).Result(ctx)
	var crashed *procpool.WorkerCrashError
	if errors.As(err, &crashed) {
		fmt.Printf("%s ended its worker with code %d, saying: %s", crashed.Func, crashed.ExitCode, crashed.Stderr)
	}
	_, err = futures.Submit(ctx, pool, isPrime, 97).Result(ctx)
	fmt.Println("broken:", errors.Is(err, procpool.ErrBrokenProcessPool))
	// Output:
	// example.Crash ended its worker with code 3, saying: this cannot go on
	// broken: true
}

// With ReplaceWorker a crash is the failure of the one call that was running. The other calls go on in another worker.
func ExampleReplaceWorker() {
	pool := open(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
	defer pool.Close()
	ctx := context.Background()

	lost := futures.Submit(ctx, pool, crash, 3)
	waiting := futures.Submit(ctx, pool, isPrime, 97)
	var crashed *procpool.WorkerCrashError
	fmt.Println("lost:", errors.As(lost.Err(ctx), &crashed))
	fmt.Println(waiting.Result(ctx))
	fmt.Println("workers started:", pool.Stats().Started)
	// Output:
	// lost: true
	// true <nil>
	// workers started: 2
}

// A call that is over its Timeout and does not listen to its ctx is ended with its worker, after KillGrace. Nobody else notices:
// the pool does not count it as a crash.
func ExampleConfig_timeout() {
	pool := open(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, KillGrace: 10 * time.Millisecond})
	defer pool.Close()
	ctx := context.Background()

	_, err := futures.Submit(ctx, pool, hang, struct{}{}, futures.Timeout(10*time.Millisecond)).Result(ctx)
	fmt.Println("timed out:", errors.Is(err, futures.ErrTimeout))
	var crashed *procpool.WorkerCrashError
	if errors.As(err, &crashed) {
		fmt.Println("its worker was", crashed.Signal)
	}
	fmt.Println(futures.Submit(ctx, pool, isPrime, 97).Result(ctx))
	// Output:
	// timed out: true
	// its worker was quit
	// true <nil>
}

// dictionary is what every worker needs before its first call.
var dictionary map[string]string

var (
	load = futures.NewFunc("example.Load", func(_ context.Context, language string) (struct{}, error) {
		if language != "fr" {
			return struct{}{}, fmt.Errorf("there is no dictionary for %q", language)
		}
		dictionary = map[string]string{"one": "un", "two": "deux"}
		return struct{}{}, nil
	})

	translate = futures.NewFunc("example.Translate", func(_ context.Context, word string) (string, error) {
		return dictionary[word], nil
	})
)

// The initializer runs once in each worker, before its first call.
func ExampleConfig_initializer() {
	pool := open(procpool.Config{Worker: procpool.Self(), Initializer: futures.Bind(load, "fr")})
	defer pool.Close()
	for word, err := range futures.Map(context.Background(), pool, translate, slices.Values([]string{"one", "two"})) {
		fmt.Println(word, err)
	}
	// Output:
	// un <nil>
	// deux <nil>
}

// An initializer that fails breaks the pool, and every call says why.
func ExampleInitializerError() {
	pool := open(procpool.Config{Worker: procpool.Self(), Initializer: futures.Bind(load, "tlh")})
	defer pool.Close()
	ctx := context.Background()

	err := futures.Submit(ctx, pool, translate, "one").Err(ctx)
	var failed *procpool.InitializerError
	if errors.As(err, &failed) {
		fmt.Println(failed.Err)
	}
	fmt.Println("broken:", errors.Is(err, procpool.ErrBrokenProcessPool))
	// Output:
	// example.Load: there is no dictionary for "tlh"
	// broken: true
}

// calls is what a worker has made of count: it leaks, as it were.
var calls int

var count = futures.NewFunc("example.Count", func(context.Context, struct{}) (int, error) {
	calls++
	return calls, nil
})

// What leaks ends with its worker.
func ExampleConfig_maxTasksPerChild() {
	pool := open(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, MaxTasksPerChild: 2})
	defer pool.Close()
	ctx := context.Background()

	for range 5 {
		fmt.Println(futures.Submit(ctx, pool, count, struct{}{}).Result(ctx))
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 1 <nil>
	// 2 <nil>
	// 1 <nil>
}

var environ = futures.NewFunc("example.Environ", func(context.Context, struct{}) ([]string, error) { return os.Environ(), nil })

// Env is all that the workers see of an environment. Empty keeps the secrets of this process from a plugin; nil would not.
func ExampleConfig_env() {
	pool := open(procpool.Config{Worker: procpool.Self(), Env: []string{}})
	defer pool.Close()
	ctx := context.Background()

	fmt.Println(futures.Submit(ctx, pool, environ, struct{}{}).Result(ctx))
	// Output: [] <nil>
}

// Describe asks a worker what it offers, before any work is given away.
func ExampleDescribe() {
	worker, err := procpool.Describe(context.Background(), procpool.Config{Worker: procpool.Self()})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, fn := range worker.Functions[:2] {
		fmt.Printf("%s(%s) %s\n", fn.Name, fn.In, fn.Out)
	}
	// Output:
	// example.IsPrime(uint64) bool
	// example.Find(string) string
}

// open keeps the examples short: it makes a pool or panics.
func open(config procpool.Config) *procpool.ProcessPoolExecutor {
	pool, err := procpool.New(config)
	if err != nil {
		panic(err)
	}
	return pool
}
