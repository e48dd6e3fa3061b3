package interpreters_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// loadGuest builds a worker's main package and loads it, once for all examples:
//
//	func main() { worker.Main(tasks.All...) }
//
// with worker/starlark imported beside. Programs mostly embed the module, or read it from a file.
var loadGuest = sync.OnceValue(func() *interpreters.Image {
	dir, err := os.MkdirTemp("", "interpreters-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "guest.wasm"), "../integration/interpreters/scripted")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		log.Fatalf("%v\n%s", err, text)
	}
	wasm, err := os.ReadFile(filepath.Join(dir, "guest.wasm"))
	if err != nil {
		log.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		log.Fatal(err)
	}
	image, err := interpreters.Load(context.Background(), wasm, interpreters.ImageConfig{CacheDir: filepath.Join(cache, "concurrent-tests")})
	if err != nil {
		log.Fatal(err)
	}
	return image
})

// The interpreter keeps its state from call to call, and no other interpreter sees it.
func ExampleCall() {
	ctx, image := context.Background(), loadGuest()
	ip, err := interpreters.Create(ctx, image, interpreters.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer ip.Close()

	fmt.Println(interpreters.Call(ctx, ip, tasks.Add, tasks.Pair{A: 40, B: 2}))
	fmt.Println(interpreters.Call(ctx, ip, tasks.Count, struct{}{}))
	fmt.Println(interpreters.Call(ctx, ip, tasks.Count, struct{}{}))

	_, err = interpreters.Call(ctx, ip, tasks.Fail, struct{}{})
	var failed *interpreters.ExecutionFailed
	if errors.As(err, &failed) {
		fmt.Println(failed.Excinfo.Msg, errors.Is(err, tasks.ErrKnown))
	}
	// Output:
	// 42 <nil>
	// 1 <nil>
	// 2 <nil>
	// tasks: known to both sides true
}

// A loop that looks at its ctx ends with it, and its interpreter goes on. One that does not is stopped when the grace is over, and that is the
// end of its interpreter.
func ExampleCall_cancelledLoop() {
	ctx, image := context.Background(), loadGuest()
	ip, err := interpreters.Create(ctx, image, interpreters.Config{Grace: 300 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	defer ip.Close()
	soon, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()

	_, err = interpreters.Call(soon, ip, tasks.SpinPolitely, struct{}{}) // a loop with worker.Checkpoint(ctx) in it
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	fmt.Println(interpreters.Call(ctx, ip, tasks.Add, tasks.Pair{A: 40, B: 2}))

	soon, cancel = context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = interpreters.Call(soon, ip, tasks.Spin, struct{}{}) // for {}
	var died *interpreters.Died
	fmt.Println(errors.Is(err, context.DeadlineExceeded), errors.As(err, &died) && died.Reason == interpreters.Interrupted)
	// Output:
	// true
	// 42 <nil>
	// true true
}

// A guest that wants more than it may have is the only one to notice.
func ExampleDied() {
	ctx, image := context.Background(), loadGuest()
	ip, err := interpreters.Create(ctx, image, interpreters.Config{MemoryLimit: 32 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer ip.Close()

	_, err = interpreters.Call(ctx, ip, tasks.Eat, 1000) // MiB
	var died *interpreters.Died
	if errors.As(err, &died) {
		fmt.Println(died.Reason)
	}
	// Output: out of memory
}

// Scripts are Starlark. The functions of the guest are their builtins, and the names they bind stay bound.
func ExampleInterpreter_Exec() {
	ctx, image := context.Background(), loadGuest()
	ip, err := interpreters.Create(ctx, image, interpreters.Config{Stdout: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
	defer ip.Close()

	if err := ip.Exec(ctx, "total = tasks.Add(A=40, B=2)"); err != nil {
		log.Fatal(err)
	}
	if err := ip.Exec(ctx, "print([n for n in range(total) if n > 2 and tasks.IsPrime(n)])"); err != nil {
		log.Fatal(err)
	}
	err = ip.Exec(ctx, "def half(n):\n    return total // n\nhalf(0)")
	var failed *interpreters.ExecutionFailed
	if errors.As(err, &failed) {
		fmt.Println(failed.Excinfo.Formatted)
	}
	// Output:
	// [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41]
	// EvalError: floored division by zero
}

// Names are bound all at once or not at all. Scripts have them as globals, and Go code by worker.Var.
func ExampleInterpreter_PrepareMain() {
	ctx, image := context.Background(), loadGuest()
	ip, err := interpreters.Create(ctx, image, interpreters.Config{Stdout: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
	defer ip.Close()

	results := interpreters.CreateQueue(0)
	defer results.Close()
	err = ip.PrepareMain(ctx, map[string]any{"pair": tasks.Pair{A: 40, B: 2}, "results": results})
	if err != nil {
		log.Fatal(err)
	}
	if err := ip.Exec(ctx, "results.put(tasks.Add(pair))"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(interpreters.GetAs[int](ctx, results))

	err = ip.PrepareMain(ctx, map[string]any{"pair": 1, "stop": func() {}})
	fmt.Println(errors.Is(err, futures.ErrNotShareable))
	// Output:
	// 42 <nil>
	// true
}

// Two interpreters, one behind the other.
func ExampleQueue_interpreters() {
	ctx, image := context.Background(), loadGuest()
	var queues [3]*interpreters.Queue
	for i := range queues {
		queues[i] = interpreters.CreateQueue(2)
		defer queues[i].Close()
	}
	for i := range 2 {
		ip, err := interpreters.Create(ctx, image, interpreters.Config{})
		if err != nil {
			log.Fatal(err)
		}
		defer ip.Close()
		relay := tasks.Relaying{From: worker.QueueOf(queues[i]), To: worker.QueueOf(queues[i+1]), N: 3} // adds one to each number
		thread := interpreters.CallInThread(ctx, ip, tasks.Relay, relay)
		defer thread.Join()
	}
	for _, n := range []int{10, 20, 30} {
		if err := queues[0].Put(ctx, n); err != nil {
			log.Fatal(err)
		}
	}
	for range 3 {
		fmt.Println(interpreters.GetAs[int](ctx, queues[2]))
	}
	// Output:
	// 12 <nil>
	// 22 <nil>
	// 32 <nil>
}

// A pool is an executor as any other.
func ExampleNewPool() {
	ctx := context.Background()
	pool, err := interpreters.NewPool(interpreters.PoolConfig{
		Image:       loadGuest(),
		MaxWorkers:  2,
		Interpreter: interpreters.Config{MemoryLimit: 64 << 20},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	deadly := futures.Submit(ctx, pool, tasks.Exit, 3)
	for prime, err := range futures.Map(ctx, pool, tasks.IsPrime, slices.Values([]uint64{7, 9, 1000003})) {
		fmt.Println(prime, err)
	}
	var died *interpreters.Died
	if errors.As(deadly.Err(ctx), &died) {
		fmt.Println(died.Reason, died.ExitCode)
	}
	// Output:
	// true <nil>
	// false <nil>
	// true <nil>
	// exit 3
}
