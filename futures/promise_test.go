package futures_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// row F14, divergence: any other state is no crash, just false
func TestStartWorksOnceAndNotAfterCancel(t *testing.T) {
	p := futures.NewPromise[int]()
	assert.True(t, p.Start())
	assert.Equal(t, futures.Running, p.Future().State())
	assert.False(t, p.Start())
	require.NoError(t, p.Resolve(1))
	assert.False(t, p.Start())

	c := futures.NewPromise[int]()
	assert.True(t, c.Future().Cancel())
	assert.False(t, c.Start())
	assert.Equal(t, futures.Cancelled, c.Future().State())
}

// row F14: Start tells nobody anything
func TestStartRunsNoCallback(t *testing.T) {
	p := futures.NewPromise[int]()
	p.Future().OnDone(func(f *futures.Future[int]) { assert.Equal(t, futures.Finished, f.State()) })
	assert.True(t, p.Start())
	require.NoError(t, p.Resolve(1))
}

// A pending future may get its outcome without running.
func TestSettleWithoutStart(t *testing.T) {
	value, err := resolved(3).Result(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, 3, value)
	assert.Equal(t, errBoom, rejected(errBoom).Err(t.Context()))
}

// test_future::test_multiple_set_result and test_multiple_set_exception, row F15
func TestTheFirstOutcomeStays(t *testing.T) {
	errOther := errors.New("other")
	for _, tt := range []struct {
		name  string
		first func(*futures.Promise[int])
		value int
		err   error
		text  string
	}{
		{"resolved", func(p *futures.Promise[int]) { _ = p.Resolve(1) }, 1, nil,
			`^futures: invalid state: finished: <Future at 0x[0-9a-f]+ state=finished returned int>$`},
		{"rejected", func(p *futures.Promise[int]) { _ = p.Reject(errBoom) }, 0, errBoom,
			`^futures: invalid state: finished: <Future at 0x[0-9a-f]+ state=finished raised \*errors\.errorString>$`},
		{"cancelled", func(p *futures.Promise[int]) { p.Future().Cancel() }, 0, futures.ErrCancelled,
			`^futures: invalid state: cancelled: <Future at 0x[0-9a-f]+ state=cancelled>$`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := futures.NewPromise[int]()
			tt.first(p)
			for _, err := range []error{p.Resolve(2), p.Reject(errOther)} {
				assert.ErrorIs(t, err, futures.ErrInvalidState)
				assert.Regexp(t, tt.text, err.Error())
			}
			value, err := p.Future().Result(t.Context())
			assert.Equal(t, tt.value, value)
			assert.Equal(t, tt.err, err)
		})
	}
}

// row F16, divergence: a nil error is refused and changes nothing
func TestRejectWithoutAnErrorIsRefused(t *testing.T) {
	p := futures.NewPromise[int]()
	assert.ErrorIs(t, p.Reject(nil), futures.ErrInvalidState)
	assert.Equal(t, futures.Pending, p.Future().State())
	assert.NoError(t, p.Resolve(1))
}

func TestFutureIsAlwaysTheSame(t *testing.T) {
	p := futures.NewPromise[int]()
	assert.Same(t, p.Future(), p.Future())
}

// What must hold 1: one outcome exactly, whoever is at it at the same time.
func TestOnlyOneOfManyWins(t *testing.T) {
	for range 300 {
		p := futures.NewPromise[int]()
		var won atomic.Int32
		var callbacks atomic.Int32
		p.Future().OnDone(func(*futures.Future[int]) { callbacks.Add(1) })
		win := func(ok bool) {
			if ok {
				won.Add(1)
			}
		}
		var all sync.WaitGroup
		all.Go(func() { win(p.Resolve(1) == nil) })
		all.Go(func() { win(p.Resolve(2) == nil) })
		all.Go(func() { win(p.Reject(errBoom) == nil) })
		all.Go(func() { win(p.Future().Cancel()) })
		all.Go(func() { p.Start() })
		all.Go(func() { <-p.Future().Done() })
		all.Wait()
		require.EqualValues(t, 1, won.Load())
		require.EqualValues(t, 1, callbacks.Load())
	}
}
