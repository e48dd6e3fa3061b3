package futures_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// executor.py::ExecutorTest::test_submit, rows E1 and E2
func TestSubmitHandsTheCallOver(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, double, 21, futures.Timeout(time.Hour), futures.Retries(3))
	assert.Equal(t, futures.Pending, f.State())

	h := d.next(t)
	assert.Equal(t, "double", h.Func().Name())
	assert.Equal(t, t.Context(), h.Context())
	assert.Equal(t, time.Hour, h.Timeout())
	assert.Equal(t, 3, h.Retries())
	assert.Equal(t, 21, *h.Arg().(*int))
	assert.Zero(t, *h.Out().(*int))

	assert.True(t, h.Start())
	assert.Equal(t, futures.Running, f.State())
	assert.False(t, f.Cancel())
	h.Invoke(h.Context())
	value, err := f.Result(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, 42, value)
	assert.Equal(t, 42, *h.Out().(*int))
}

// An executor that runs the call elsewhere fills Out and resolves.
func TestResolveTakesWhatIsInOut(t *testing.T) {
	d := new(desk)
	remote := futures.Declare[string, []string]("remote")
	f := futures.Submit(t.Context(), d, remote, "x")
	h := d.next(t)
	require.True(t, h.Start())
	*h.Out().(*[]string) = []string{"from", "afar"}
	assert.True(t, h.Resolve())
	value, err := f.Result(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, []string{"from", "afar"}, value)
}

// row E3: the executor sees the calls in the order of Submit
func TestCallsArriveInOrder(t *testing.T) {
	d := new(desk)
	for i := range 10 {
		futures.Submit(t.Context(), d, double, i)
	}
	for i := range 10 {
		assert.Equal(t, i, *d.next(t).Arg().(*int))
	}
}

// rows E4 and E6, divergence: a refusal is a future that is done, not a panic
func TestSubmitNeverPanics(t *testing.T) {
	shut, broken := new(desk), new(desk)
	require.NoError(t, shut.Close())
	errBroken := fmt.Errorf("%w: no worker left", futures.ErrBrokenExecutor)
	broken.refuse(errBroken)
	var nilCtx context.Context
	for _, tt := range []struct {
		name string
		f    *futures.Future[int]
		text string
		is   error
	}{
		{"shut down", futures.Submit(t.Context(), shut, double, 1), "futures: cannot submit after shutdown", futures.ErrShutdown},
		{"broken", futures.Submit(t.Context(), broken, double, 1), "futures: broken executor: no worker left", futures.ErrBrokenExecutor},
		{"no executor", futures.Submit(t.Context(), nil, double, 1), "futures: Submit: the executor is nil", nil},
		{"no ctx", futures.Submit(nilCtx, new(desk), double, 1), "futures: Submit: ctx is nil", nil},
		{"zero Func", futures.Submit(t.Context(), new(desk), futures.Func[int, int]{}, 1),
			"futures: Submit: the Func is the zero Func: make it with NewFunc or Declare", nil},
		{"bad timeout", futures.Submit(t.Context(), new(desk), double, 1, futures.Timeout(0)),
			"futures: Timeout: 0s is not positive (call of double)", nil},
		{"bad retries", futures.Submit(t.Context(), new(desk), double, 1, futures.Retries(-1)),
			"futures: Retries: -1 is negative (call of double)", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, futures.Finished, tt.f.State())
			err := tt.f.Err(t.Context())
			assert.EqualError(t, err, tt.text)
			if tt.is != nil {
				assert.ErrorIs(t, err, tt.is)
			}
		})
	}
	f := futures.Submit(t.Context(), new(inline), double, 1, nil)
	assert.NoError(t, f.Err(t.Context()), "a nil option is none")
}

func TestSubmitWithADoneCtxIsCancelledAndNeverHandedOver(t *testing.T) {
	d := new(desk)
	f := futures.Submit(done(errBoom), d, double, 1)
	assert.Equal(t, futures.Cancelled, f.State())
	assert.ErrorIs(t, f.Err(t.Context()), futures.ErrCancelled)
	assert.ErrorIs(t, f.Err(t.Context()), errBoom)
	assert.EqualError(t, f.Err(t.Context()), "futures: cancelled before it started: boom")
	assert.Empty(t, d.handedOver())
}

func TestTheCtxCancelsACallThatHasNotStarted(t *testing.T) {
	d := new(desk)
	ctx, cancel := context.WithCancelCause(t.Context())
	f := futures.Submit(ctx, d, double, 1)
	called := make(chan error, 1)
	f.OnDone(func(f *futures.Future[int]) { called <- f.Err(context.Background()) })
	cancel(errBoom)
	<-f.Done()
	assert.Equal(t, futures.Cancelled, f.State())
	assert.ErrorIs(t, f.Err(t.Context()), errBoom)
	assert.Same(t, f.Err(t.Context()), <-called)
	h := d.next(t)
	assert.False(t, h.Start())
	assert.Equal(t, []*held{h}, d.cancelled, "the holder was told before the callbacks ran")
	assert.Empty(t, d.interrupted)
}

func TestTheCtxInterruptsACallThatHasStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(desk)
		ctx, cancel := context.WithCancelCause(t.Context())
		f := futures.Submit(ctx, d, double, 1)
		h := d.next(t)
		require.True(t, h.Start())
		cancel(errBoom)
		synctest.Wait()
		assert.Equal(t, []error{errBoom}, d.interrupted)
		assert.Empty(t, d.cancelled)
		assert.Equal(t, futures.Running, f.State(), "it is for the holder to end it")
		assert.True(t, h.Reject(errBoom))
		assert.Equal(t, errBoom, f.Err(t.Context()))
	})
}

func TestASettledCallNoLongerHearsOfItsCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(desk)
		ctx, cancel := context.WithCancel(t.Context())
		f := futures.Submit(ctx, d, double, 1)
		d.run(t, 1)
		cancel()
		synctest.Wait()
		assert.NoError(t, f.Err(t.Context()))
		assert.Empty(t, d.interrupted)
	})
}

// row F2: the holder hears of Cancel, once
func TestCancelTellsTheHolder(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, double, 1)
	told := -1
	f.OnDone(func(*futures.Future[int]) { told = len(d.cancelled) })
	assert.True(t, f.Cancel())
	assert.True(t, f.Cancel())
	assert.Equal(t, 1, told, "before the callbacks run")
	assert.Len(t, d.cancelled, 1)
	assert.False(t, d.next(t).Start())
}

// A call that was cancelled on its way has no holder any more.
func TestHoldOfASettledCall(t *testing.T) {
	d := new(desk)
	futures.Submit(t.Context(), d, double, 1)
	h := d.next(t)
	require.True(t, h.Cancel())
	assert.False(t, h.Hold(h))
}

// row F15 for executors, and row F18: what comes second is dropped
func TestTheFirstOutcomeOfACallStays(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, double, 1)
	h := d.next(t)
	require.True(t, h.Start())
	*h.Out().(*int) = 2
	assert.True(t, h.Resolve())
	assert.False(t, h.Resolve())
	assert.False(t, h.Reject(errBoom))
	assert.False(t, h.Cancel())
	value, err := f.Result(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, 2, value)

	f = futures.Submit(t.Context(), d, double, 1)
	h = d.next(t)
	require.True(t, f.Cancel())
	assert.False(t, h.Resolve())
	assert.False(t, h.Reject(errBoom))
	assert.True(t, h.Cancel())
	assert.Equal(t, futures.ErrCancelled, f.Err(t.Context()))
}

func TestRejectWithoutAReasonIsStillAFailure(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, double, 1)
	assert.True(t, d.next(t).Reject(nil))
	assert.ErrorContains(t, f.Err(t.Context()), "BUG")
}

// lease is a worker's claim on one call.
type lease struct {
	futures.Holder
	started   atomic.Bool
	withdrawn atomic.Bool
}

func leaseOf(h futures.Holder) *lease { return &lease{Holder: h} }

func (l *lease) Started() bool { return l.started.Load() }
func (l *lease) Withdraw() bool {
	return !l.started.Load() && l.withdrawn.CompareAndSwap(false, true)
}

func TestALentCallIsPendingUntilItsWorkerStartsIt(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, double, 1)
	h := d.next(t)
	l := leaseOf(h)
	require.True(t, h.Lend(l))
	assert.Equal(t, futures.Pending, f.State())
	l.started.Store(true)
	assert.Equal(t, futures.Running, f.State())
	assert.False(t, f.Cancel(), "the worker has it")
	assert.False(t, h.Recall())
	assert.True(t, h.Resolve(), "the result may arrive before the notice that it started")
	assert.Equal(t, futures.Finished, f.State())
}

func TestALentCallCanBeCancelledUntilItStarts(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, double, 1)
	h := d.next(t)
	l := leaseOf(h)
	require.True(t, h.Lend(l))
	assert.True(t, f.Cancel())
	assert.True(t, l.withdrawn.Load(), "the worker will not start it")
	assert.Len(t, d.cancelled, 1)
	assert.False(t, h.Recall())
	assert.False(t, h.Lend(leaseOf(h)))
	assert.False(t, h.Start())
}

func TestARecalledCallCanBeLentAgain(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, double, 1)
	h := d.next(t)
	assert.False(t, h.Recall(), "it is not lent")
	first, second := leaseOf(h), leaseOf(h)
	require.True(t, h.Lend(first))
	assert.True(t, h.Recall())
	assert.True(t, first.withdrawn.Load())
	require.True(t, h.Lend(second))
	first.started.Store(true)
	assert.Equal(t, futures.Pending, f.State(), "the first lease is history")
	assert.True(t, h.Start())
	assert.Equal(t, futures.Running, f.State())
	assert.False(t, h.Recall(), "it has started")
}

func TestTheCtxOfALentCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(desk)
		ctx, cancel := context.WithCancelCause(t.Context())
		waits := futures.Submit(ctx, d, double, 1)
		runs := futures.Submit(ctx, d, double, 2)
		first, second := d.next(t), d.next(t)
		notStarted, started := leaseOf(first), leaseOf(second)
		require.True(t, first.Lend(notStarted))
		require.True(t, second.Lend(started))
		started.started.Store(true)
		cancel(errBoom)
		synctest.Wait()
		assert.Equal(t, futures.Cancelled, waits.State())
		assert.True(t, notStarted.withdrawn.Load())
		assert.Equal(t, futures.Running, runs.State())
		assert.Equal(t, []error{errBoom}, d.interrupted)
	})
}

// What must hold 2: whoever is first, a call is either cancelled or run.
func TestCancelRacingWithStart(t *testing.T) {
	for range 300 {
		d := new(desk)
		f := futures.Submit(t.Context(), d, double, 1)
		h := d.next(t)
		var won atomic.Int32
		var all sync.WaitGroup
		all.Go(func() {
			if f.Cancel() {
				won.Add(1)
			}
		})
		all.Go(func() {
			if h.Start() {
				won.Add(1)
				h.Invoke(h.Context())
			}
		})
		all.Wait()
		require.EqualValues(t, 1, won.Load())
		<-f.Done()
	}
}

// Callbacks of a call that its executor settles have a goroutine of their own: a slow one delays nobody's result.
func TestASlowCallbackDoesNotHoldUpTheExecutor(t *testing.T) {
	for name, settle := range map[string]func(*held){
		"result": func(h *held) { h.Start(); h.Invoke(h.Context()) },
		"error":  func(h *held) { h.Reject(errBoom) },
		"cancel": func(h *held) { h.Cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			d := new(desk)
			a, b := futures.Submit(t.Context(), d, double, 1), futures.Submit(t.Context(), d, double, 2)
			order := make(chan int, 2)
			a.OnDone(func(*futures.Future[int]) {
				<-b.Done() // for ever, if the desk waited for the callback
				order <- 1
			})
			a.OnDone(func(*futures.Future[int]) { order <- 2 })
			settle(d.next(t))
			settle(d.next(t))
			assert.Equal(t, 1, <-order)
			assert.Equal(t, 2, <-order)
		})
	}
}

func TestShutdownMayCancelUnderTheExecutorsLock(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, double, 1)
	late := make(chan error, 1)
	f.OnDone(func(*futures.Future[int]) { // takes the lock of the desk
		late <- futures.Submit(context.Background(), d, double, 2).Err(context.Background())
	})
	require.NoError(t, d.Shutdown(t.Context(), futures.CancelFutures()))
	assert.Equal(t, futures.Cancelled, f.State())
	assert.Empty(t, d.cancelled, "who cancels need not be told")
	assert.ErrorIs(t, <-late, futures.ErrShutdown)
}

// executor.py::ExecutorTest::test_no_stale_references, row E10
func TestAFutureThatIsKeptKeepsNoArgument(t *testing.T) {
	d := new(desk)
	size := futures.NewFunc("size", func(_ context.Context, p *[1 << 16]byte) (int, error) { return len(p), nil })
	arg := new([1 << 16]byte)
	gone := weak.Make(arg)
	ctx, cancel := context.WithCancel(t.Context()) // a ctx that lives on
	defer cancel()
	f := futures.Submit(ctx, d, size, arg)
	arg = nil
	assert.NotNil(t, gone.Value(), "the call needs it")
	d.run(t, 1)
	d.held = nil
	requireFreed(t, gone)
	value, err := f.Result(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, 1<<16, value)
}

// row E10: neither does a call that was cancelled or refused
func TestACancelledFutureThatIsKeptKeepsNoArgument(t *testing.T) {
	d := new(desk)
	size := futures.NewFunc("size", func(_ context.Context, p *[1 << 16]byte) (int, error) { return len(p), nil })
	arg := new([1 << 16]byte)
	gone := weak.Make(arg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := futures.Submit(ctx, d, size, arg)
	require.True(t, f.Cancel())
	d.held, d.cancelled = nil, nil
	requireFreed(t, gone)
	assert.Equal(t, futures.Cancelled, f.State())
}

func TestTimeoutEndsTheCtxOfTheBodyWithErrTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := futures.NewFunc("wait", func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		d := new(desk)
		f := futures.Submit(t.Context(), d, wait, 1, futures.Timeout(time.Minute))
		<-time.After(time.Hour) // time in the queue does not count
		start := time.Now()
		d.run(t, 1)
		assert.Equal(t, time.Minute, time.Since(start))
		err := f.Err(t.Context())
		assert.ErrorIs(t, err, futures.ErrTimeout)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		var task *futures.TaskError
		require.ErrorAs(t, err, &task)
		assert.Equal(t, "wait", task.Func)
	})
}

func TestInvokeReportsTheFailureOfTheBody(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, oddFails, 1)
	d.run(t, 1)
	value, err := f.Result(t.Context())
	assert.Zero(t, value)
	assert.Equal(t, &futures.TaskError{Func: "oddFails", Type: "*errors.errorString", Message: "boom", Causes: []error{errBoom}}, err)
	assert.ErrorIs(t, err, errBoom)
}

func TestInvokeOfADeclaredFunc(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, futures.Declare[int, int]("elsewhere"), 1)
	d.run(t, 1)
	assert.ErrorIs(t, f.Err(t.Context()), futures.ErrNoBody)
}

func TestTheCtxGivenToResultIsNotTheCalls(t *testing.T) {
	d := new(desk)
	f := futures.Submit(t.Context(), d, double, 4)
	_, err := f.Result(done(errors.New("no patience")))
	assert.EqualError(t, err, "no patience")
	d.run(t, 1)
	value, err := f.Result(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, 8, value)
}

func TestTheCallKnowsItsTypes(t *testing.T) {
	d := new(desk)
	futures.Submit(t.Context(), d, futures.Declare[map[string]int, error]("typed"), nil)
	in, out := d.next(t).Func().Types()
	assert.Equal(t, reflect.TypeFor[map[string]int](), in)
	assert.Equal(t, reflect.TypeFor[error](), out)
}
