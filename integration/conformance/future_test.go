//go:build unix

package conformance_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/conformance/leak"
)

// futurePorts are test_future.py. They need no executor.
var futurePorts = []port{
	{"test_future", "test_done_callback_with_result", "F7", 0, callback(resolve)},
	{"test_future", "test_done_callback_with_exception", "F7", 0, callback(reject)},
	{"test_future", "test_done_callback_with_cancel", "F2 F7", 0, callback(cancel)},
	{"test_future", "test_done_callback_raises", "F8 F9", 0, callbackPanics},
	{"test_future", "test_done_callback_already_successful", "F7", 0, lateCallback(resolve)},
	{"test_future", "test_done_callback_already_failed", "F7", 0, lateCallback(reject)},
	{"test_future", "test_done_callback_already_cancelled", "F7", 0, lateCallback(cancel)},
	{"test_future", "test_done_callback_raises_already_succeeded", "F9", 0, lateCallbackPanics},
	{"test_future", "test_repr", "F17", 0, repr},
	{"test_future", "test_cancel", "F1", 0, cancelOfEveryState},
	{"test_future", "test_cancelled", "F3", 0, isState(futures.Cancelled)},
	{"test_future", "test_done", "F3", 0, isDone},
	{"test_future", "test_running", "F3", 0, isState(futures.Running)},
	{"test_future", "test_result_with_timeout", "F5", 0, resultWithTimeout},
	{"test_future", "test_result_with_success", "F5", 0, resultComes(resolve)},
	{"test_future", "test_result_with_cancel", "F2 F5", 0, resultComes(cancel)},
	{"test_future", "test_exception_with_timeout", "F6", 0, exceptionWithTimeout},
	{"test_future", "test_exception_with_success", "F6", 0, resultComes(reject)},
	{"test_future", "test_multiple_set_result", "F15", 0, secondOutcome(resolve)},
	{"test_future", "test_multiple_set_exception", "F15", 0, secondOutcome(reject)},
}

func TestFuture(t *testing.T) {
	for _, p := range futurePorts {
		t.Run(p.id(), func(t *testing.T) {
			leak.Check(t)
			p.run(t, executor{})
		})
	}
}

// An outcome is one way for a future to be over.
type outcome struct {
	give  func(*testing.T, *futures.Promise[int])
	value int
	err   error
	state futures.State
}

var (
	resolve = outcome{func(t *testing.T, p *futures.Promise[int]) { require.NoError(t, p.Resolve(5)) }, 5, nil, futures.Finished}
	reject  = outcome{func(t *testing.T, p *futures.Promise[int]) { require.NoError(t, p.Reject(errBoom)) }, 0, errBoom, futures.Finished}
	cancel  = outcome{func(t *testing.T, p *futures.Promise[int]) { require.True(t, p.Future().Cancel()) }, 0, futures.ErrCancelled, futures.Cancelled}
)

// check compares what f says with the outcome.
func (o outcome) check(t *testing.T, f *futures.Future[int]) {
	t.Helper()
	v, err := f.Result(impatient())
	assert.Equal(t, o.value, v)
	assert.ErrorIs(t, err, o.err)
	assert.ErrorIs(t, f.Err(impatient()), o.err)
	assert.Equal(t, o.state, f.State())
}

func callback(o outcome) func(*testing.T, executor) {
	return func(t *testing.T, _ executor) {
		p := futures.NewPromise[int]()
		var seen []*futures.Future[int]
		p.Future().OnDone(func(f *futures.Future[int]) { seen = append(seen, f) })
		assert.Empty(t, seen)
		o.give(t, p)
		assert.Equal(t, []*futures.Future[int]{p.Future()}, seen)
		o.check(t, p.Future())
	}
}

func lateCallback(o outcome) func(*testing.T, executor) {
	return func(t *testing.T, _ executor) {
		p := futures.NewPromise[int]()
		o.give(t, p)
		var seen []*futures.Future[int]
		p.Future().OnDone(func(f *futures.Future[int]) { seen = append(seen, f) })
		assert.Equal(t, []*futures.Future[int]{p.Future()}, seen, "at once")
	}
}

// logged is what goes to the default log during during.
func logged(during func()) string {
	var text bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	during()
	return text.String()
}

func callbackPanics(t *testing.T, _ executor) {
	p := futures.NewPromise[int]()
	var order []string
	p.Future().OnDone(func(*futures.Future[int]) { order = append(order, "first"); panic("doh!") })
	p.Future().OnDone(func(*futures.Future[int]) { order = append(order, "second") })
	text := logged(func() { resolve.give(t, p) })
	assert.Equal(t, []string{"first", "second"}, order)
	assert.Contains(t, text, "level=ERROR")
	assert.Contains(t, text, "doh!")
	assert.Contains(t, text, "callbackPanics", "with its stack")
}

func lateCallbackPanics(t *testing.T, _ executor) {
	f := succeededBefore(t)
	text := logged(func() { f.OnDone(func(*futures.Future[int]) { panic("doh!") }) })
	assert.Contains(t, text, "doh!")
}

func repr(t *testing.T, _ executor) {
	pending, running := futures.NewPromise[int](), futures.NewPromise[int]()
	require.True(t, running.Start())
	states := map[string]*futures.Future[int]{
		"state=pending>":                             pending.Future(),
		"state=running>":                             running.Future(),
		"state=cancelled>":                           cancelledBefore(t),
		"state=finished returned int>":               succeededBefore(t),
		"state=finished raised *errors.errorString>": failedBefore(t),
	}
	for text, f := range states {
		assert.True(t, strings.HasPrefix(f.String(), "<Future at 0x"), f)
		assert.Contains(t, f.String(), text)
	}
}

func cancelOfEveryState(t *testing.T, _ executor) {
	pending, running := futures.NewPromise[int](), futures.NewPromise[int]()
	require.True(t, running.Start())
	assert.True(t, pending.Future().Cancel())
	assert.True(t, pending.Future().Cancel(), "it is cancelled already")
	assert.Equal(t, futures.Cancelled, pending.Future().State())
	assert.False(t, pending.Start(), "and does not start")
	assert.False(t, running.Future().Cancel())
	assert.Equal(t, futures.Running, running.Future().State())
	for _, f := range []*futures.Future[int]{succeededBefore(t), failedBefore(t)} {
		assert.False(t, f.Cancel())
		assert.Equal(t, futures.Finished, f.State())
	}
}

// every is a future in each state.
func every(t *testing.T) map[futures.State]*futures.Future[int] {
	running := futures.NewPromise[int]()
	require.True(t, running.Start())
	return map[futures.State]*futures.Future[int]{
		futures.Pending:   futures.NewPromise[int]().Future(),
		futures.Running:   running.Future(),
		futures.Cancelled: cancelledBefore(t),
		futures.Finished:  succeededBefore(t),
	}
}

func isState(s futures.State) func(*testing.T, executor) {
	return func(t *testing.T, _ executor) {
		for state, f := range every(t) {
			assert.Equal(t, state == s, f.State() == s, f)
		}
	}
}

func isDone(t *testing.T, _ executor) {
	for state, f := range every(t) {
		done := false
		select {
		case <-f.Done():
			done = true
		default:
		}
		assert.Equal(t, state == futures.Cancelled || state == futures.Finished, done, f)
	}
}

func resultWithTimeout(t *testing.T, _ executor) {
	for state, f := range every(t) {
		v, err := f.Result(impatient())
		switch state {
		case futures.Finished:
			require.NoError(t, err)
			assert.Equal(t, 42, v)
		case futures.Cancelled:
			require.ErrorIs(t, err, futures.ErrCancelled)
		default:
			require.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, state, f.State(), "the future does not care")
		}
	}
	_, err := failedBefore(t).Result(impatient())
	require.ErrorIs(t, err, errBoom)
}

func exceptionWithTimeout(t *testing.T, _ executor) {
	for state, f := range every(t) {
		err := f.Err(impatient())
		switch state {
		case futures.Finished:
			require.NoError(t, err)
		case futures.Cancelled:
			require.ErrorIs(t, err, futures.ErrCancelled)
		default:
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	assert.Equal(t, errBoom, failedBefore(t).Err(impatient()), "the very same")
}

// resultComes: somebody waits when the outcome comes.
func resultComes(o outcome) func(*testing.T, executor) {
	return func(t *testing.T, _ executor) {
		p := futures.NewPromise[int]()
		type got struct {
			value int
			err   error
		}
		results := make(chan got)
		for range 2 {
			go func() {
				v, err := p.Future().Result(context.Background())
				results <- got{v, err}
			}()
		}
		o.give(t, p)
		for range 2 {
			r := <-results
			assert.Equal(t, o.value, r.value)
			assert.ErrorIs(t, r.err, o.err)
		}
		o.check(t, p.Future())
	}
}

// secondOutcome: the first one stays.
func secondOutcome(o outcome) func(*testing.T, executor) {
	return func(t *testing.T, _ executor) {
		p := futures.NewPromise[int]()
		o.give(t, p)
		require.ErrorIs(t, p.Resolve(7), futures.ErrInvalidState)
		require.ErrorIs(t, p.Reject(context.Canceled), futures.ErrInvalidState)
		o.check(t, p.Future())
		cancelled := futures.NewPromise[int]()
		cancel.give(t, cancelled)
		require.ErrorIs(t, cancelled.Resolve(7), futures.ErrInvalidState)
		cancel.check(t, cancelled.Future())
	}
}
