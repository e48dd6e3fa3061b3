//go:build linux

package procpool_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// deaths are the ways in which a worker ends unexpectedly, with what a WorkerCrashError says of them.
var deaths = []struct {
	fate
	signal syscall.Signal
	code   int
	cause  error // it broke the protocol, and was killed for it or not
	stderr string
}{
	{fate: fate{"signal", int(syscall.SIGSEGV)}, code: 2, stderr: "SIGSEGV"}, // the Go runtime makes a crash of it
	{fate: fate{"nil", 0}, code: 2, stderr: "nil pointer dereference"},
	{fate: fate{"signal", int(syscall.SIGKILL)}, signal: syscall.SIGKILL, code: -1},
	{fate: fate{"signal", int(syscall.SIGTERM)}, signal: syscall.SIGTERM, code: -1},
	{fate: fate{"signal", int(syscall.SIGABRT)}, code: 2, stderr: "SIGABRT"},
	{fate: fate{"exit", 0}},
	{fate: fate{"exit", 1}, code: 1},
	{fate: fate{"exit", 42}, code: 42},
	{fate: fate{"panic elsewhere", 0}, code: 2, stderr: "panic: nobody is here to catch it"},
	{fate: fate{"overflow", 0}, code: 2, stderr: "stack overflow"},
	{fate: fate{"garbage", 0}, signal: syscall.SIGKILL, code: -1, cause: ipc.ErrProtocol},
	{fate: fate{"half a frame", 0}, cause: io.ErrUnexpectedEOF},
	{fate: fate{"half a head", 0}, cause: io.ErrUnexpectedEOF},
	{fate: fate{"too large", 0}, signal: syscall.SIGKILL, code: -1, cause: ipc.ErrProtocol},
	{fate: fate{"unasked answer", 3}, signal: syscall.SIGKILL, code: -1, cause: ipc.ErrProtocol},
	{fate: fate{"unasked answer", 99}, signal: syscall.SIGKILL, code: -1, cause: ipc.ErrProtocol},
	{fate: fate{"unasked answer", 0}, signal: syscall.SIGKILL, code: -1, cause: ipc.ErrProtocol},
	{fate: fate{"request", 0}, signal: syscall.SIGKILL, code: -1, cause: ipc.ErrProtocol},
	{fate: fate{"close", 0}, signal: syscall.SIGKILL, code: -1},
}

// Whatever ends a worker, the call that ran and those that waited fail, each with its own evidence, and the pool is broken.
func TestBreakPool(t *testing.T) {
	for _, d := range deaths {
		t.Run(fmt.Sprint(d.Way, d.N), func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1})
			ctx := context.Background()
			worker, err := futures.Submit(ctx, pool, pid, none{}).Result(bounded(t))
			require.NoError(t, err)
			guilty := futures.Submit(ctx, pool, perish, d.fate)
			waiting := []*futures.Future[int]{futures.Submit(ctx, pool, pid, none{}), futures.Submit(ctx, pool, pid, none{})}

			crashes := make(map[*procpool.WorkerCrashError]bool)
			for _, f := range append(waiting, guilty) {
				_, err := f.Result(bounded(t))
				require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
				require.ErrorIs(t, err, futures.ErrBrokenExecutor)
				var crash *procpool.WorkerCrashError
				require.ErrorAs(t, err, &crash)
				crashes[crash] = true
				assert.Equal(t, worker, crash.PID)
				assert.Equal(t, d.signal, crash.Signal)
				assert.Equal(t, d.code, crash.ExitCode)
				assert.Equal(t, "test.Perish", crash.Func)
				assert.Equal(t, 1, crash.Attempt)
				assert.Contains(t, crash.Stderr, fmt.Sprintf("about to perish: %s %d\n", d.Way, d.N))
				assert.Contains(t, crash.Stderr, d.stderr)
				if d.stderr != "" {
					assert.Contains(t, crash.Goroutines, "goroutine ")
					assert.Regexp(t, `\nlast words: (panic|fatal error|runtime|SIG)`, crash.Error(), "the reason is in the message")
				} else {
					assert.Empty(t, crash.Goroutines)
				}
				assert.Contains(t, crash.Error(), "test.Perish")
				assert.Positive(t, crash.CPU)
				assert.Greater(t, crash.MaxRSS, int64(1<<20), "no program of Go has less, in bytes")
				if d.cause != nil {
					assert.ErrorIs(t, crash, d.cause)
				} else {
					assert.NoError(t, crash.Cause)
				}
			}
			assert.Len(t, crashes, 3, "calls share an error")
			_, err = futures.Submit(ctx, pool, echo, "").Result(bounded(t))
			require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
			mustClose(t, pool)
			assert.Equal(t, 1, pool.Stats().Started, "a broken pool starts workers")
		})
	}
}

// The reason stands first, and of a dump that is too long the end is left out, where standard error keeps the end.
func TestTheReasonOfALongDumpIsKept(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Env: append(os.Environ(), "GOTRACEBACK=all")})
	_, err := futures.Submit(t.Context(), pool, perish, fate{"panic in a crowd", 5000}).Result(bounded(t))
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	assert.True(t, strings.HasPrefix(crash.Goroutines, "panic: nobody is here to catch it"), "%.200s", crash.Goroutines)
	assert.Greater(t, len(crash.Goroutines), 200<<10)
	assert.LessOrEqual(t, len(crash.Goroutines), 256<<10)
	assert.NotContains(t, crash.Stderr, "nobody is here", "it is long enough to show something")
	assert.Contains(t, crash.Error(), "last words: panic: nobody is here to catch it")
}

// With ReplaceWorker such an end costs the running call and nobody else: those that waited run, in their order.
func TestReplaceWorker(t *testing.T) {
	for _, d := range deaths {
		if d.fate.N != int(syscall.SIGKILL) && !slices.Contains([]string{"overflow", "garbage", "half a frame", "close"}, d.Way) {
			continue // the pool sees no difference to one of these
		}
		t.Run(fmt.Sprint(d.Way, d.N), func(t *testing.T) {
			clean(t)
			m := newMarks(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
			batch := []ordeal{{Fate: d.fate}} // at the worker together, so that all but the first are there and have not started
			for n := range 20 {
				batch = append(batch, ordeal{Mark: marking{File: m.path, N: n + 1}})
			}
			n := 0
			for got, err := range futures.Map(bounded(t), pool, markOrPerish, slices.Values(batch), futures.Chunksize(len(batch))) {
				if n == 0 {
					var crash *procpool.WorkerCrashError
					require.ErrorAs(t, err, &crash)
					require.NotErrorIs(t, err, procpool.ErrBrokenProcessPool)
					assert.Equal(t, d.signal, crash.Signal)
					assert.Equal(t, d.code, crash.ExitCode)
					assert.Equal(t, "test.MarkOrPerish", crash.Func)
				} else {
					require.NoError(t, err)
					assert.Equal(t, n, got)
				}
				n++
			}
			assert.Equal(t, len(batch), n)
			assert.True(t, slices.IsSorted(m.order()), "the calls that were handed over lost their order: %v", m.order())
			assert.Len(t, m.order(), 20)
			assert.Equal(t, 1, pool.Stats().Crashed)
			assert.Equal(t, 2, pool.Stats().Started)
		})
	}
}

// warmMark has the pool learn that marks are short, so that it sends them ahead.
func warmMark(t *testing.T, pool *procpool.ProcessPoolExecutor) {
	t.Helper()
	scratch := newMarks(t)
	for range 40 {
		_, err := futures.Submit(context.Background(), pool, mark, marking{File: scratch.path}).Result(bounded(t))
		require.NoError(t, err)
	}
}

// runtime.Goexit costs the goroutine of the call, not the worker.
func TestGoexitIsTheCallsFailure(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	ctx := bounded(t)
	before, err := futures.Submit(ctx, pool, pid, none{}).Result(ctx)
	require.NoError(t, err)
	_, err = futures.Submit(ctx, pool, fail, "goexit").Result(ctx)
	var failed *futures.TaskError
	require.ErrorAs(t, err, &failed)
	assert.True(t, failed.Panicked)
	assert.Contains(t, failed.Message, "runtime.Goexit")
	after, err := futures.Submit(ctx, pool, pid, none{}).Result(ctx)
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

// A kill from outside, as by an operator or the system, while another worker is busy, one call is finished and one cancelled.
func TestABrokenPoolKeepsWhatWasSettled(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 2})
	g := newGate(t)
	ctx := context.Background()
	finished := futures.Submit(ctx, pool, echo, "kept")
	_, err := finished.Result(bounded(t))
	require.NoError(t, err)
	a := futures.Submit(ctx, pool, hold, held{Gate: g.path})
	victim := g.pid()
	b := futures.Submit(ctx, pool, hold, held{Gate: g.path})
	bystander := g.pid()
	waiting := futures.Submit(ctx, pool, hold, held{Gate: g.path})
	cancelled := futures.Submit(ctx, pool, hold, held{Gate: g.path})
	require.True(t, cancelled.Cancel())

	require.NoError(t, unix.Kill(victim, unix.SIGKILL))
	for _, f := range []*futures.Future[int]{a, b, waiting} {
		_, err := f.Result(bounded(t))
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, err, &crash)
		assert.Equal(t, victim, crash.PID)
		assert.Equal(t, syscall.SIGKILL, crash.Signal)
		assert.Equal(t, "test.Hold", crash.Func)
	}
	got, err := finished.Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, "kept", got)
	_, err = cancelled.Result(bounded(t))
	require.ErrorIs(t, err, futures.ErrCancelled)
	assert.Equal(t, futures.Cancelled, cancelled.State())
	assert.True(t, remains.AwaitEnd(t, bystander, patience), "a broken pool keeps a worker")
}

// A worker that dies while it runs nothing breaks the pool as well (row P40), and is replaced with ReplaceWorker.
func TestAnIdleWorkerThatDies(t *testing.T) {
	for _, policy := range []procpool.CrashPolicy{procpool.BreakPool, procpool.ReplaceWorker} {
		t.Run(policy.String(), func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: policy})
			g := newGate(t)
			ctx := bounded(t)
			n, err := futures.Submit(ctx, pool, pid, none{}).Result(ctx)
			require.NoError(t, err)
			require.NoError(t, unix.Kill(n, unix.SIGKILL))
			if policy == procpool.ReplaceWorker {
				assert.True(t, remains.AwaitEnd(t, n, patience))
				f := futures.Submit(ctx, pool, hold, held{Gate: g.path}, futures.Retries(1)) // it may be sent before the host knows
				assert.NotEqual(t, n, g.pid())
				g.open(1)
				_, err := f.Result(ctx)
				require.NoError(t, err)
				return
			}
			for { // an event that the host hears of in its own time
				_, err = futures.Submit(ctx, pool, hold, held{Gate: g.path}).Result(ctx)
				if err != nil {
					break
				}
			}
			var crash *procpool.WorkerCrashError
			require.ErrorAs(t, err, &crash)
			assert.Equal(t, n, crash.PID)
			assert.Equal(t, syscall.SIGKILL, crash.Signal)
			assert.Contains(t, crash.Error(), "while it ran no call")
			assert.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
		})
	}
}

// Row P43: what a worker had written before it died is delivered before the break.
func TestResultsInThePipeAreDelivered(t *testing.T) {
	for _, policy := range []procpool.CrashPolicy{procpool.BreakPool, procpool.ReplaceWorker} {
		for _, size := range []int{1, 60_000} { // as much as a pipe takes
			t.Run(fmt.Sprint(policy, size), func(t *testing.T) {
				clean(t)
				pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: policy})
				answer := string(slices.Repeat([]byte{'x'}, size))
				f := futures.Submit(context.Background(), pool, answerAndPerish, answer)
				next := futures.Submit(context.Background(), pool, echo, "next")
				got, err := f.Result(bounded(t))
				require.NoError(t, err)
				assert.Equal(t, answer, got)
				_, err = next.Result(bounded(t))
				if policy == procpool.BreakPool {
					require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
				} else {
					require.NoError(t, err)
				}
			})
		}
	}
}

// A call that may run again does so exactly as often as it may, and its attempts are counted.
func TestRetries(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			clean(t)
			m := newMarks(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
			_, err := futures.Submit(context.Background(), pool, markAndPerish, m.path, futures.Retries(n)).Result(bounded(t))
			var crash *procpool.WorkerCrashError
			require.ErrorAs(t, err, &crash)
			assert.Equal(t, n+1, crash.Attempt)
			assert.Equal(t, 7, crash.ExitCode)
			assert.NotErrorIs(t, err, procpool.ErrBrokenProcessPool)
			assert.Equal(t, map[int]int{0: n + 1}, m.read())
			assert.Equal(t, n, pool.Stats().Retried)
			_, err = futures.Submit(context.Background(), pool, echo, "").Result(bounded(t))
			require.NoError(t, err)
		})
	}
}

// An error that the function returns is no crash, and is not retried.
func TestAnErrorIsNotRetried(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
	_, err := futures.Submit(context.Background(), pool, fail, "known", futures.Retries(5)).Result(bounded(t))
	require.ErrorIs(t, err, errKnown)
	assert.Equal(t, 1, pool.Stats().Answered)
}

// Workers that die without anything being finished in between break the pool after MaxCrashes; a call that is finished
// sets the count back.
func TestWorkersThatKeepDyingBreakThePool(t *testing.T) {
	clean(t)
	const most = 3
	pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker, MaxCrashes: most})
	ctx := bounded(t)
	die := func() error {
		_, err := futures.Submit(ctx, pool, perish, fate{"exit", 1}).Result(ctx)
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, err, &crash)
		return err
	}
	for range 2 {
		for range most - 1 {
			require.NotErrorIs(t, die(), procpool.ErrBrokenProcessPool)
		}
		_, err := futures.Submit(ctx, pool, echo, "").Result(ctx)
		require.NoError(t, err, "the pool broke before MaxCrashes")
	}
	for range most - 1 {
		require.NotErrorIs(t, die(), procpool.ErrBrokenProcessPool)
	}
	require.ErrorIs(t, die(), procpool.ErrBrokenProcessPool)
	_, err := futures.Submit(ctx, pool, echo, "").Result(ctx)
	require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
	mustClose(t, pool)
	assert.Empty(t, remains.Children(t, os.Getpid()))
}

// Each item of a chunk has a fate of its own: those before the crash succeed, those after it run elsewhere.
func TestACrashInAChunkCostsOneItem(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
	n, failed := 0, 0
	for got, err := range futures.Map(bounded(t), pool, perishAt, slices.Values([]int{0, 1, 2, -3, 4, 5, 6, 7}), futures.Chunksize(8)) {
		var crash *procpool.WorkerCrashError
		if n == 3 {
			require.ErrorAs(t, err, &crash)
			assert.Equal(t, "test.PerishAt", crash.Func)
			failed++
		} else {
			require.NoError(t, err)
			assert.Equal(t, n, got)
		}
		n++
	}
	assert.Equal(t, 8, n)
	assert.Equal(t, 1, failed)
}

// What was sent to a worker and not begun there was no attempt.
func TestAnAttemptThatWasNoneIsNotCounted(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker})
	n := 0
	for _, err := range futures.Map(bounded(t), pool, perishAt, slices.Values([]int{-1, -2, -3}), futures.Chunksize(3)) {
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, err, &crash)
		assert.Equal(t, 1, crash.Attempt)
		n++
	}
	assert.Equal(t, 3, n)
}
