//go:build unix

package pooltest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/pooltest"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// patiently is a user's own retry logic: what is to be tested.
func patiently(ctx context.Context, pool futures.Executor, n, attempts int) (result, used int, err error) {
	for used = 1; used <= attempts; used++ {
		result, err = futures.Submit(ctx, pool, double, n).Result(ctx)
		var crash *procpool.WorkerCrashError
		if !errors.As(err, &crash) { // only a crash is worth another attempt
			return result, used, err
		}
	}
	return 0, attempts, err
}

// check keeps the examples short.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// The first two calls lose their workers, each in its own way, whichever workers they are.
func ExamplePlan() {
	dir, err := os.MkdirTemp("", "plan")
	check(err)
	defer os.RemoveAll(dir)
	plan, err := pooltest.NewPlan(dir, pooltest.On(1, pooltest.Signal(syscall.SIGKILL)), pooltest.After(2, pooltest.Exit(3)))
	check(err)
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, OnCrash: procpool.ReplaceWorker, Env: plan.Env(os.Environ())})
	check(err)
	defer pool.Close()

	result, used, err := patiently(context.Background(), pool, 21, 5)
	fmt.Println(result, used, err)
	starts, err := plan.Started()
	fmt.Println(len(starts), err)
	// Output:
	// 42 3 <nil>
	// 3 <nil>
}

// A worker that hangs and does not listen is killed when the call's time is up.
func ExampleHang() {
	dir, err := os.MkdirTemp("", "plan")
	check(err)
	defer os.RemoveAll(dir)
	plan, err := pooltest.NewPlan(dir, pooltest.On(1, pooltest.Hang()).Of(double))
	check(err)
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, KillGrace: 50 * time.Millisecond, Env: plan.Env(os.Environ())})
	check(err)
	defer pool.Close()

	_, err = futures.Submit(context.Background(), pool, double, 1, futures.Timeout(50*time.Millisecond)).Result(context.Background())
	fmt.Println(errors.Is(err, futures.ErrTimeout))
	// Output: true
}

// A gate stops a call where the test wants it, and says what becomes of it: no sleeping, and no luck.
func ExampleGate() {
	ctx := context.Background()
	gate, err := pooltest.NewGate()
	check(err)
	defer gate.Close()
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
	check(err)
	defer pool.Close()

	f := futures.Submit(ctx, pool, pooltest.Carry, pooltest.Errand{Name: "first", Faults: []pooltest.Fault{pooltest.Wait(gate.Addr())}})
	waiting := futures.Submit(ctx, pool, pooltest.Carry, pooltest.Errand{Name: "second"})
	v, err := gate.Meet(ctx) // it runs, and the other one waits
	check(err)
	fmt.Println(v.Name, f.State(), waiting.State())
	check(v.Befall(pooltest.Exit(7)))

	var crash *procpool.WorkerCrashError
	fmt.Println(errors.As(f.Err(ctx), &crash), crash.ExitCode, crash.PID == v.PID)
	fmt.Println(waiting.Err(ctx))
	// Output:
	// first running pending
	// true 7 true
	// <nil>
}
