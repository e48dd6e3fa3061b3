//go:build unix

package conformance_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// waitPorts are test_wait.py. Unlike in Python, a cancelled future is done for Wait at once (rows F4 and W3).
var waitPorts = []port{
	{"test_wait", "test_20369", "W2", everywhere | sharing, waitDuplicates},
	{"test_wait", "test_first_completed", "W3 W4 F4", everywhere | sharing, firstCompleted},
	{"test_wait", "test_first_completed_some_already_completed", "W4", everywhere | sharing, firstCompletedAlready},
	{"test_wait", "test_first_exception", "W5 W6", everywhere | sharing, firstException},
	{"test_wait", "test_first_exception_some_already_complete", "W5 F4", everywhere | sharing, firstExceptionSomeComplete},
	{"test_wait", "test_first_exception_one_already_failed", "W5", everywhere | sharing, firstExceptionAlready},
	{"test_wait", "test_all_completed", "W1 W7", everywhere | sharing, allCompleted},
	{"test_wait", "test_timeout", "W8", everywhere | sharing, waitTimeout},
	{"test_wait", "ThreadPoolWaitTests::test_pending_calls_race", "W11", everywhere | sharing, pendingCallsRace},
}

type intFutures = []*futures.Future[int]

// Futures that were settled before, and not by an executor.
func cancelledBefore(t *testing.T) *futures.Future[int] {
	f := futures.NewPromise[int]().Future()
	require.True(t, f.Cancel())
	return f
}

func failedBefore(t *testing.T) *futures.Future[int] {
	p := futures.NewPromise[int]()
	require.NoError(t, p.Reject(errBoom))
	return p.Future()
}

func succeededBefore(t *testing.T) *futures.Future[int] {
	p := futures.NewPromise[int]()
	require.NoError(t, p.Resolve(42))
	return p.Future()
}

func waitDuplicates(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	f := futures.Submit(ctx, ex, power, pair{1, 1})
	done, pending, err := futures.Wait(ctx, intFutures{f, f}, futures.AllCompleted)
	require.NoError(t, err)
	assert.Equal(t, intFutures{f}, done)
	assert.Empty(t, pending)
}

func firstCompleted(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(2)...)
	both := d.meetAll(2)
	both[0].tell(passOn)
	done, pending, err := futures.Wait(ctx, fs, futures.FirstCompleted)
	require.NoError(t, err)
	assert.Equal(t, fs[:1], done)
	assert.Equal(t, fs[1:], pending)

	cancelled := cancelledBefore(t)
	done, pending, err = futures.Wait(ctx, intFutures{cancelled, fs[1]}, futures.FirstCompleted)
	require.NoError(t, err)
	assert.Equal(t, intFutures{cancelled}, done, "there is no half-cancelled state")
	assert.Equal(t, fs[1:], pending)
}

func firstCompletedAlready(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	running := futures.Submit(ctx, ex, pass, d.at(0))
	cancelled, succeeded := cancelledBefore(t), succeededBefore(t)
	done, pending, err := futures.Wait(ctx, intFutures{cancelled, succeeded, running}, futures.FirstCompleted)
	require.NoError(t, err)
	assert.Equal(t, intFutures{cancelled, succeeded}, done, "all that are done")
	assert.Equal(t, intFutures{running}, pending)
}

func firstException(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 3), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(3)...)
	all := d.meetAll(3)
	go func() {
		all[0].tell(passOn) // which does not end the wait
		all[0].awaitGone()
		all[1].tell(fail)
	}()
	done, pending, err := futures.Wait(ctx, append(intFutures{cancelledBefore(t)}, fs...), futures.FirstError)
	require.NoError(t, err)
	assert.True(t, slices.Contains(done, fs[1]))
	assert.True(t, slices.Contains(pending, fs[2]))
	require.ErrorIs(t, fs[1].Err(ctx), errBoom)
}

func firstExceptionSomeComplete(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(2)...)
	both := d.meetAll(2)
	cancelled, succeeded := cancelledBefore(t), succeededBefore(t)
	go both[0].tell(fail)
	done, pending, err := futures.Wait(ctx, append(intFutures{succeeded, cancelled}, fs...), futures.FirstError)
	require.NoError(t, err)
	assert.Equal(t, intFutures{succeeded, cancelled, fs[0]}, done)
	assert.Equal(t, fs[1:], pending)
}

func firstExceptionAlready(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	running := futures.Submit(ctx, ex, pass, d.at(0))
	failed := failedBefore(t)
	done, pending, err := futures.Wait(ctx, intFutures{failed, running}, futures.FirstError)
	require.NoError(t, err)
	assert.Equal(t, intFutures{failed}, done)
	assert.Equal(t, intFutures{running}, pending)
}

func allCompleted(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 2)
	f1 := futures.Submit(ctx, ex, divide, pair{2, 0})
	f2 := futures.Submit(ctx, ex, power, pair{2, 21})
	fs := []futures.Awaitable{cancelledBefore(t), failedBefore(t), succeededBefore(t), f1, f2} // of two types and three makers
	done, pending, err := futures.Wait(ctx, fs, futures.AllCompleted)
	require.NoError(t, err)
	assert.Equal(t, fs, done)
	assert.Empty(t, pending)
}

func waitTimeout(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	quick := futures.Submit(ctx, ex, power, pair{6, 2})
	require.NoError(t, quick.Err(ctx))
	stuck := futures.Submit(ctx, ex, pass, d.at(0))
	cancelled, failed, succeeded := cancelledBefore(t), failedBefore(t), succeededBefore(t)
	fs := intFutures{cancelled, failed, succeeded, quick, stuck}
	done, pending, err := futures.Wait(impatient(), fs, futures.AllCompleted)
	require.Error(t, err, "it says that the wait was cut short, and sorts them all the same")
	assert.Equal(t, fs[:4], done)
	assert.Equal(t, fs[4:], pending)
}

func pendingCallsRace(t *testing.T, e executor) {
	workers, calls := 100, 100
	if e.inProcesses() {
		workers, calls = 3, 9
	}
	ctx, ex, d := within(t), e.open(t, workers), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(calls)...)
	d.meetAll(workers)
	waiting := make(chan error)
	go func() {
		_, pending, err := futures.Wait(ctx, fs, futures.AllCompleted)
		if err == nil && len(pending) > 0 {
			err = pending[0].Err(ctx)
		}
		waiting <- err
	}()
	d.open() // as many at once as there are workers
	require.NoError(t, <-waiting)
	requireResults(t, ctx, fs)
}
