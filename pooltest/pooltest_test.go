//go:build unix

package pooltest_test

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/pooltest"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// Starts are numbered without a gap, by whomever they are entered at the same time.
func TestALedgerNumbersStarts(t *testing.T) {
	l, err := pooltest.NewLedger(t.TempDir())
	require.NoError(t, err)
	const each = 20
	numbers := make(chan int, 4*each)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range each {
				n, err := l.Enter("call")
				assert.NoError(t, err)
				numbers <- n
			}
		})
	}
	all.Wait()
	close(numbers)
	seen := map[int]bool{}
	for n := range numbers {
		seen[n] = true
	}
	assert.Len(t, seen, 4*each)
	assert.True(t, seen[1] && seen[4*each])
	other, err := l.Enter("another")
	require.NoError(t, err)
	assert.Equal(t, 1, other, "each name is counted by itself")
	starts, err := l.Read()
	require.NoError(t, err)
	assert.Len(t, starts, 4*each+1)
	assert.Equal(t, os.Getpid(), starts[0].PID)
}

func TestAPlanThatCannotBe(t *testing.T) {
	_, err := pooltest.NewPlan(t.TempDir(), pooltest.On(0, pooltest.Hang()))
	require.ErrorContains(t, err, "there is no call 0")
}

// A Func without a plan is what it was, and one that is only declared stays so.
func TestWrapChangesNothingWithoutAPlan(t *testing.T) {
	n, err := pooltest.Wrap(double).Call(context.Background(), 4)
	require.NoError(t, err)
	assert.Equal(t, 8, n)
	assert.Equal(t, double.Name(), pooltest.Wrap(double).Name())
	assert.False(t, pooltest.Wrap(futures.Declare[int, int]("elsewhere")).HasBody())
}

// What the pools of this repository do not tell apart by themselves: errors, leaks and slowness.
func TestFaultsThatKillNobody(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1})
	require.NoError(t, err)
	defer func() { assert.NoError(t, pool.Close()) }()
	carry := func(f ...pooltest.Fault) (pooltest.Receipt, error) {
		return futures.Submit(ctx, pool, pooltest.Carry, pooltest.Errand{Faults: f, Load: []byte("load")}).Result(ctx)
	}
	first, err := carry(pooltest.Leak(8<<20), pooltest.Slow(time.Nanosecond), pooltest.Fault{})
	require.NoError(t, err)
	assert.Equal(t, "load", string(first.Load))
	_, err = carry(pooltest.Error("so what"))
	require.ErrorIs(t, err, pooltest.ErrInjected)
	require.ErrorContains(t, err, "so what")
	_, err = carry(pooltest.Fault{Kind: "Tsunami"})
	require.ErrorContains(t, err, "Tsunami")
	last, err := carry()
	require.NoError(t, err)
	assert.Equal(t, first.PID, last.PID, "nobody was killed")
}

// A fault that cannot be would be none, or another one, and a test that counts on it would prove nothing.
func TestNumbersThatAFaultCannotHave(t *testing.T) {
	for says, f := range map[string]pooltest.Fault{
		"Exit(300): the code must be from 0 to 255":        pooltest.Exit(300),
		"Exit(-1): the code must be from 0 to 255":         pooltest.Exit(-1),
		"Flood(9, 10): fd must be 1 or 2":                  pooltest.Flood(9, 10),
		"Flood(2, -5): bytes must not be negative":         pooltest.Flood(2, -5),
		"Leak(-5): bytes must not be negative":             pooltest.Leak(-5),
		"Slow(-1ns): the time must not be negative":        pooltest.Slow(-1),
		"Signal(signal 0): not every Go program dies of":   pooltest.Signal(0),
		"Signal(urgent I/O condition): not every Go progr": pooltest.Signal(syscall.SIGURG),
		"Signal(user defined signal 1): not every Go prog": pooltest.Signal(syscall.SIGUSR1),
		"Signal(signal 200): not every Go program dies of": pooltest.Signal(200),
	} {
		assert.ErrorContains(t, pooltest.Befall(context.Background(), f), "pooltest: "+says)
	}
}

func TestWorkersDieOfEverySignalThatIsSent(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, OnCrash: procpool.ReplaceWorker, MaxCrashes: 100})
	require.NoError(t, err)
	defer func() { assert.NoError(t, pool.Close()) }()
	for _, sig := range []syscall.Signal{
		syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGHUP, syscall.SIGILL, syscall.SIGINT, syscall.SIGKILL, syscall.SIGQUIT, syscall.SIGSEGV, syscall.SIGSYS,
		syscall.SIGTERM, syscall.SIGTRAP,
	} {
		if signal.Ignored(sig) { // by whoever started this, as nohup does, and so by its workers
			continue
		}
		err := futures.Submit(ctx, pool, pooltest.Carry, pooltest.Errand{Faults: []pooltest.Fault{pooltest.Signal(sig)}}).Err(ctx)
		var crash *procpool.WorkerCrashError
		assert.ErrorAs(t, err, &crash, "%v", sig)
	}
}

// The workers of a program that was started by nohup ignore what it ignores.
func TestASignalThatWorkersWereStartedToIgnoreIsAnError(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ignored := []os.Signal{syscall.SIGHUP, syscall.SIGINT}
	signal.Ignore(ignored...)
	t.Cleanup(func() { signal.Reset(ignored...) })
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1})
	require.NoError(t, err)
	defer func() { assert.NoError(t, pool.Close()) }()
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		err := futures.Submit(ctx, pool, pooltest.Carry, pooltest.Errand{Faults: []pooltest.Fault{pooltest.Signal(sig)}}).Err(ctx)
		assert.ErrorContains(t, err, "started with it ignored")
	}
}

// What a function has done before it failed is done as well.
func TestAfterStrikesAFunctionThatFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	plan, err := pooltest.NewPlan(t.TempDir(), pooltest.After(1, pooltest.Exit(3)), pooltest.After(2, pooltest.Error("instead")))
	require.NoError(t, err)
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, OnCrash: procpool.ReplaceWorker, Env: plan.Env(os.Environ())})
	require.NoError(t, err)
	defer func() { assert.NoError(t, pool.Close()) }()
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, futures.Submit(ctx, pool, fails, 1).Err(ctx), &crash)
	assert.Equal(t, 3, crash.ExitCode)
	require.ErrorIs(t, futures.Submit(ctx, pool, fails, 2).Err(ctx), pooltest.ErrInjected)
	require.ErrorContains(t, futures.Submit(ctx, pool, fails, 3).Err(ctx), "3 is no good")
}

// Slow and Obey listen to the ctx, Befall to the first error.
func TestFaultsThatListen(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, pooltest.Befall(ctx, pooltest.Slow(time.Hour)), context.Canceled)
	require.ErrorIs(t, pooltest.Befall(ctx, pooltest.Obey(), pooltest.Panic("not reached")), context.Canceled)
}

// A gate may be open for everybody, and who stands at one that is taken away hears of it.
func TestAGateThatOpensAndCloses(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	gate, err := pooltest.NewGate()
	require.NoError(t, err)
	gate.Open()
	require.NoError(t, pooltest.Befall(ctx, pooltest.Wait(gate.Addr())))
	require.NoError(t, gate.Close())
	require.Error(t, pooltest.Befall(ctx, pooltest.Wait(gate.Addr())))

	gate, err = pooltest.NewGate()
	require.NoError(t, err)
	left := make(chan error, 1)
	go func() { left <- pooltest.Befall(ctx, pooltest.Wait(gate.Addr())) }() // ends with the gate
	v, err := gate.Meet(ctx)
	require.NoError(t, err)
	done, stop := context.WithCancel(ctx)
	stop()
	_, err = gate.Meet(done)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, v.Gone(done), context.Canceled)
	require.NoError(t, gate.Close())
	require.Error(t, <-left)
	require.NoError(t, v.Gone(ctx))
}

// A slow pipe carries everything all the same.
func TestASlowPipe(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pool, err := procpool.New(procpool.Config{
		Worker: procpool.Self(), MaxWorkers: 1, Env: pooltest.Wiretap{Pause: time.Millisecond}.Env(os.Environ()),
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, pool.Close()) }()
	began := time.Now()
	got, err := futures.Submit(ctx, pool, pooltest.Carry, pooltest.Errand{Load: make([]byte, 100<<10)}).Result(ctx)
	require.NoError(t, err)
	assert.Len(t, got.Load, 100<<10)
	assert.Greater(t, time.Since(began), 100*time.Millisecond, "there and back, a millisecond for each KiB")
}
