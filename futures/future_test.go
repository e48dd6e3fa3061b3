package futures_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// test_future::test_cancel, row F1
func TestCancelWorksUntilTheCallHasStarted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		f     *futures.Future[int]
		want  bool
		state futures.State
	}{
		{"pending", pending(), true, futures.Cancelled},
		{"running", running(), false, futures.Running},
		{"cancelled", cancelled(), true, futures.Cancelled},
		{"failed", rejected(errBoom), false, futures.Finished},
		{"succeeded", resolved(5), false, futures.Finished},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, tt.f.Cancel())
			assert.Equal(t, tt.state, tt.f.State())
		})
	}
}

// row F1: a second Cancel reports true and runs no callback again
func TestCallbacksDoNotRunAgainAtASecondCancel(t *testing.T) {
	f := pending()
	ran := 0
	f.OnDone(func(*futures.Future[int]) { ran++ })
	assert.True(t, f.Cancel())
	assert.True(t, f.Cancel())
	assert.Equal(t, 1, ran)
}

// test_future::test_cancelled, test_running, test_done, row F3
func TestStateAndDone(t *testing.T) {
	for _, tt := range []struct {
		f     *futures.Future[int]
		state futures.State
		done  bool
	}{
		{pending(), futures.Pending, false},
		{running(), futures.Running, false},
		{cancelled(), futures.Cancelled, true},
		{rejected(errBoom), futures.Finished, true},
		{resolved(5), futures.Finished, true},
	} {
		t.Run(tt.f.String(), func(t *testing.T) {
			assert.Equal(t, tt.state, tt.f.State())
			select {
			case <-tt.f.Done():
				assert.True(t, tt.done, "Done is closed")
			default:
				assert.False(t, tt.done, "Done is open")
			}
		})
	}
}

func TestDoneIsOneChannelBeforeAndAfterTheOutcome(t *testing.T) {
	p := futures.NewPromise[int]()
	before := p.Future().Done()
	require.NoError(t, p.Resolve(1))
	<-before
	assert.Equal(t, before, p.Future().Done())
}

func TestStateNames(t *testing.T) {
	assert.Equal(t, "pending running cancelled finished State(9)",
		fmt.Sprint(futures.Pending, " ", futures.Running, " ", futures.Cancelled, " ", futures.Finished, " ", futures.State(9)))
}

// test_future::test_result_with_timeout and test_exception_with_timeout, rows F5 and F6: every state polled with a ctx
// that is done. An outcome that is there wins.
func TestResultAndErrWithADoneCtx(t *testing.T) {
	errLate := errors.New("late")
	for _, tt := range []struct {
		name  string
		f     *futures.Future[int]
		value int
		err   error
	}{
		{"pending", pending(), 0, errLate},
		{"running", running(), 0, errLate},
		{"cancelled", cancelled(), 0, futures.ErrCancelled},
		{"failed", rejected(errBoom), 0, errBoom},
		{"succeeded", resolved(42), 42, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := tt.f.State()
			for range 100 { // a select between two ready channels would be found out
				value, err := tt.f.Result(done(errLate))
				require.Equal(t, tt.value, value)
				require.Equal(t, tt.err, err)
				require.Equal(t, tt.err, tt.f.Err(done(errLate)))
			}
			assert.Equal(t, state, tt.f.State(), "waiting in vain changes nothing")
		})
	}
}

// A tieCtx is done the moment somebody asks for its Done, and before that does what tie says: whoever waits for both finds
// both there.
type tieCtx struct {
	context.Context
	tie func()
}

func (c tieCtx) Done() <-chan struct{} {
	c.tie()
	return done(nil).Done()
}

func (c tieCtx) Err() error { return context.Canceled }

// row F5: the outcome and the end of the ctx, both there when the waiter looks
func TestAnOutcomeWinsOverADoneCtx(t *testing.T) {
	for range 100 { // a select between two ready channels would be found out
		p := futures.NewPromise[int]()
		ctx := tieCtx{t.Context(), func() { _ = p.Resolve(7) }}
		value, err := p.Future().Result(ctx)
		require.NoError(t, err)
		require.Equal(t, 7, value)
	}
}

// row F5: a timeout is a deadline of the waiter's ctx
func TestResultGivesUpAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := futures.NewPromise[int]()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err := p.Future().Result(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
		assert.Equal(t, futures.Pending, p.Future().State())
	})
}

// test_future::test_result_with_success and test_exception_with_success, rows F5 and F6
func TestResultWakesWithTheOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := futures.NewPromise[int]()
		var got atomic.Int32
		for range 3 {
			go func() {
				value, err := p.Future().Result(t.Context())
				assert.NoError(t, err)
				got.Add(int32(value))
			}()
			go func() { assert.NoError(t, p.Future().Err(t.Context())) }()
		}
		synctest.Wait()
		assert.Zero(t, got.Load(), "everybody waits")
		require.NoError(t, p.Resolve(42))
		synctest.Wait()
		assert.EqualValues(t, 3*42, got.Load())
	})
}

// test_future::test_result_with_cancel, row F2
func TestCancelWakesWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pending()
		woken := make(chan error, 3)
		go func() { _, err := f.Result(t.Context()); woken <- err }()
		go func() { woken <- f.Err(t.Context()) }()
		go func() { // divergence from row F2: Wait hears of it at once
			_, _, err := futures.Wait(t.Context(), []*futures.Future[int]{f}, futures.AllCompleted)
			woken <- errors.Join(err, f.Err(t.Context()))
		}()
		synctest.Wait()
		assert.True(t, f.Cancel())
		for range 3 {
			assert.ErrorIs(t, <-woken, futures.ErrCancelled)
		}
	})
}

// row F5: everybody gets the same error
func TestTheErrorIsTheSameForEverybody(t *testing.T) {
	err := &futures.TaskError{Func: "f"}
	f := rejected(err)
	_, got := f.Result(t.Context())
	assert.Same(t, err, got)
	assert.Same(t, err, f.Err(t.Context()))
}

// test_future::test_done_callback_with_result, _with_exception, _with_cancel, rows F2 and F7
func TestCallbackRunsWhenTheOutcomeComes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reach func(*futures.Promise[int])
		value int
		err   error
	}{
		{"result", func(p *futures.Promise[int]) { _ = p.Resolve(5) }, 5, nil},
		{"error", func(p *futures.Promise[int]) { _ = p.Reject(errBoom) }, 0, errBoom},
		{"cancel", func(p *futures.Promise[int]) { p.Future().Cancel() }, 0, futures.ErrCancelled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := futures.NewPromise[int]()
			ran := 0
			p.Future().OnDone(func(f *futures.Future[int]) {
				ran++
				assert.Same(t, p.Future(), f)
				value, err := f.Result(done(nil))
				assert.Equal(t, tt.value, value)
				assert.Equal(t, tt.err, err)
			})
			assert.Zero(t, ran)
			tt.reach(p)
			assert.Equal(t, 1, ran, "in the goroutine that settles, before it goes on (row F13)")
		})
	}
}

// test_future::test_done_callback_already_successful, _already_failed, _already_cancelled, row F7
func TestCallbackRunsAtOnceIfTheOutcomeIsThere(t *testing.T) {
	for _, f := range []*futures.Future[int]{resolved(5), rejected(errBoom), cancelled()} {
		ran := 0
		f.OnDone(func(g *futures.Future[int]) {
			ran++
			assert.Same(t, f, g)
		})
		assert.Equal(t, 1, ran, f)
	}
}

// row F7: the same callback twice runs twice
func TestCallbacksMayBeAddedTwice(t *testing.T) {
	p := futures.NewPromise[int]()
	ran := 0
	count := func(*futures.Future[int]) { ran++ }
	p.Future().OnDone(count)
	p.Future().OnDone(count)
	require.NoError(t, p.Resolve(1))
	assert.Equal(t, 2, ran)
}

// logged collects what goes to the default logger during the test.
func logged(t *testing.T) *bytes.Buffer {
	var text bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &text
}

// test_future::test_done_callback_raises, rows F8 and F9
func TestAPanicInACallbackIsLoggedAndTheOthersRunInOrder(t *testing.T) {
	log := logged(t)
	p := futures.NewPromise[int]()
	var order []int
	p.Future().OnDone(func(*futures.Future[int]) { order = append(order, 1); panic("doh!") })
	p.Future().OnDone(func(*futures.Future[int]) { order = append(order, 2); panic(badText{}) })
	p.Future().OnDone(nil) // calling it panics as well
	p.Future().OnDone(func(*futures.Future[int]) { order = append(order, 4) })
	require.NoError(t, p.Resolve(5))
	assert.Equal(t, []int{1, 2, 4}, order)
	assert.Equal(t, 3, bytes.Count(log.Bytes(), []byte("a done callback panicked")))
	assert.Contains(t, log.String(), "doh!")
}

// test_future::test_done_callback_raises_already_succeeded, row F9
func TestAPanicInALateCallbackIsLogged(t *testing.T) {
	log := logged(t)
	f := resolved(5)
	f.OnDone(func(*futures.Future[int]) { panic("doh!") })
	assert.Contains(t, log.String(), "doh!")
}

// badText is a panic value whose text cannot be had.
type badText struct{}

func (badText) Error() string { panic("no text") }

// row F10, divergence: a callback that takes its goroutine away takes nothing else
func TestGoexitInACallbackDoesNotStopTheOthers(t *testing.T) {
	p := futures.NewPromise[int]()
	last := make(chan int, 1)
	p.Future().OnDone(func(*futures.Future[int]) { runtime.Goexit() })
	p.Future().OnDone(func(f *futures.Future[int]) {
		value, _ := f.Result(context.Background())
		last <- value
	})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = p.Resolve(7)
	}()
	<-gone
	assert.Equal(t, 7, <-last)
}

// row F11
func TestWaitersAreWokenBeforeCallbacksRun(t *testing.T) {
	p := futures.NewPromise[int]()
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_ = p.Future().Err(context.Background())
	}()
	p.Future().OnDone(func(*futures.Future[int]) { <-waited }) // for ever, if the waiter had to wait for the callback
	require.NoError(t, p.Resolve(1))
}

// row F12
func TestACallbackAddedByACallbackRunsAtOnce(t *testing.T) {
	p := futures.NewPromise[int]()
	var order []string
	p.Future().OnDone(func(f *futures.Future[int]) {
		f.OnDone(func(*futures.Future[int]) { order = append(order, "added late") })
		order = append(order, "first")
	})
	p.Future().OnDone(func(*futures.Future[int]) { order = append(order, "second") })
	require.NoError(t, p.Resolve(1))
	assert.Equal(t, []string{"added late", "first", "second"}, order)
}

// row F8: no lock is held while a callback runs
func TestACallbackMayUseItsOwnFuture(t *testing.T) {
	f := pending()
	f.OnDone(func(f *futures.Future[int]) {
		assert.True(t, f.Cancel())
		assert.Equal(t, futures.Cancelled, f.State())
		assert.NotEmpty(t, f.String())
		<-f.Done()
		_, _, err := futures.Wait(t.Context(), []*futures.Future[int]{f}, futures.AllCompleted)
		assert.NoError(t, err)
	})
	assert.True(t, f.Cancel())
}

func TestManyCallbacks(t *testing.T) {
	p := futures.NewPromise[int]()
	ran := 0
	for range 100_000 {
		p.Future().OnDone(func(*futures.Future[int]) { ran++ })
	}
	require.NoError(t, p.Resolve(1))
	assert.Equal(t, 100_000, ran)
}

// row F8: each callback runs exactly once, whether it came before or after the outcome
func TestCallbacksRacingWithTheOutcomeRunOnce(t *testing.T) {
	const adders = 8
	for range 200 {
		p := futures.NewPromise[int]()
		var ran atomic.Int32
		var all sync.WaitGroup
		for range adders {
			all.Go(func() { p.Future().OnDone(func(*futures.Future[int]) { ran.Add(1) }) })
		}
		all.Go(func() { _ = p.Resolve(1) })
		all.Wait()
		require.EqualValues(t, adders, ran.Load())
	}
}

// test_future::test_repr, row F17
func TestString(t *testing.T) {
	assert.Regexp(t, `^<Future at 0x[0-9a-f]+ state=pending>$`, pending().String())
	assert.Regexp(t, `^<Future at 0x[0-9a-f]+ state=running>$`, running().String())
	assert.Regexp(t, `^<Future at 0x[0-9a-f]+ state=cancelled>$`, cancelled().String())
	assert.Regexp(t, `^<Future at 0x[0-9a-f]+ state=finished raised \*errors\.errorString>$`, rejected(errBoom).String())
	assert.Regexp(t, `^<Future at 0x[0-9a-f]+ state=finished returned int>$`, resolved(5).String())
	assert.NotContains(t, resolved(271828).String(), "271828", "the value is nobody's business")
}

// row F19
func TestFuturesAreEqualByIdentity(t *testing.T) {
	a, b := resolved(1), resolved(1)
	set := map[*futures.Future[int]]string{a: "a", b: "b"}
	assert.Equal(t, "a", set[a])
	assert.Equal(t, "b", set[b])
	assert.NotSame(t, a, b)
}

func TestTheZeroFutureIsPending(t *testing.T) {
	var f futures.Future[string]
	assert.Equal(t, futures.Pending, f.State())
	assert.True(t, f.Cancel())
}
