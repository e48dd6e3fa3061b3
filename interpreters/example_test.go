package interpreters_test

import (
	"context"
	"errors"
	"fmt"
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

// guest is a worker's main package, with a script engine, built by
//
//	GOOS=wasip1 GOARCH=wasm go build -o guest.wasm ./scripted
//
// A program would have guest.wasm embedded, or read it.
var guest = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "interpreters-example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	build := exec.Command("go", "build", "-o", out, "../integration/interpreters/scripted")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, text))
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		panic(err)
	}
	return wasm
})

// image is the guest, compiled. It is closed with the program.
var image = sync.OnceValue(func() *interpreters.Image {
	cache, err := os.UserCacheDir()
	if err != nil {
		panic(err)
	}
	img, err := interpreters.Load(context.Background(), guest(), interpreters.ImageConfig{CacheDir: filepath.Join(cache, "concurrent-tests")})
	if err != nil {
		panic(err)
	}
	return img
})

func ExampleCall() {
	ctx := context.Background()
	ip, err := interpreters.Create(ctx, image(), interpreters.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ip.Close()
	sum, err := interpreters.Call(ctx, ip, tasks.Add, tasks.Pair{A: 40, B: 2})
	fmt.Println(sum, err)

	_, err = interpreters.Call(ctx, ip, tasks.Fail, struct{}{})
	var failed *interpreters.ExecutionFailed
	fmt.Println(errors.As(err, &failed), errors.Is(err, tasks.ErrKnown))
	fmt.Println(failed.Excinfo.Formatted)
	// Output:
	// 42 <nil>
	// true true
	// *errors.errorString: tasks: known to both sides
}

// A function that listens to its ctx ends with it, and the interpreter goes on. An endless loop costs it its life.
func ExampleCall_cancelled() {
	ip, err := interpreters.Create(context.Background(), image(), interpreters.Config{Grace: 50 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ip.Close()
	for _, fn := range []futures.Func[struct{}, int]{tasks.SpinPolitely, tasks.Spin} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		_, err := interpreters.Call(ctx, ip, fn, struct{}{})
		cancel()
		var died *interpreters.Died
		fmt.Println(errors.Is(err, context.DeadlineExceeded), errors.As(err, &died))
	}
	// Output:
	// true false
	// true true
}

// A guest that wants too much memory dies alone.
func ExampleDied() {
	ctx := context.Background()
	ip, err := interpreters.Create(ctx, image(), interpreters.Config{MemoryLimit: 32 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ip.Close()
	_, err = interpreters.Call(ctx, ip, tasks.Eat, 100)
	var died *interpreters.Died
	if errors.As(err, &died) {
		fmt.Println(died.Reason)
	}
	// Output: out of memory
}

func ExampleInterpreter_Exec() {
	ctx := context.Background()
	ip, err := interpreters.Create(ctx, image(), interpreters.Config{Stdout: os.Stdout})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ip.Close()
	for _, code := range []string{"def double(n):\n    return 2 * n", "x = double(21)", "print(x)", "print(y)"} {
		if err := ip.Exec(ctx, code); err != nil {
			var failed *interpreters.ExecutionFailed
			fmt.Println(errors.As(err, &failed), failed.Excinfo.Msg)
		}
	}
	// Output:
	// 42
	// true name 'y' is not defined
}

func ExampleInterpreter_PrepareMain() {
	ctx := context.Background()
	ip, err := interpreters.Create(ctx, image(), interpreters.Config{Stdout: os.Stdout})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ip.Close()
	fmt.Println(ip.PrepareMain(ctx, map[string]any{"name": "world", "n": 3}))
	fmt.Println(ip.Exec(ctx, "print('hello', name)"))
	n, err := interpreters.Call(ctx, ip, tasks.Var, "n") // which calls worker.Var[int]("n")
	fmt.Println(n, err)
	// Output:
	// <nil>
	// hello world
	// <nil>
	// 3 <nil>
}

// Two interpreters, one behind the other.
func ExampleQueue_interpreters() {
	ctx := context.Background()
	var queues [3]*interpreters.Queue
	for i := range queues {
		queues[i] = interpreters.CreateQueue(2)
		defer queues[i].Close()
	}
	for i := range 2 {
		ip, err := interpreters.Create(ctx, image(), interpreters.Config{})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer ip.Close()
		relay := tasks.Relaying{From: worker.QueueOf(queues[i]), To: worker.QueueOf(queues[i+1]), N: 3} // adds one to each number
		thread := interpreters.CallInThread(ctx, ip, tasks.Relay, relay)
		defer thread.Join()
	}
	for _, n := range []int{10, 20, 30} {
		if err := queues[0].Put(ctx, n); err != nil {
			fmt.Println(err)
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

func ExampleNewPool() {
	ctx := context.Background()
	pool, err := interpreters.NewPool(interpreters.PoolConfig{Image: image(), MaxWorkers: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	numbers := []uint64{112272535095293, 112272535095294}
	for prime, err := range futures.Map(ctx, pool, tasks.IsPrime, slices.Values(numbers)) {
		fmt.Println(prime, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}
