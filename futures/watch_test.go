package futures

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shelf is an executor that keeps its calls.
type shelf struct {
	mu    sync.Mutex
	calls []Call
}

func (s *shelf) Submit(c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
}

func (*shelf) Shutdown(context.Context, ...ShutdownOption) error { return nil }
func (*shelf) Close() error                                      { return nil }

var same = NewFunc("watch_test.same", func(_ context.Context, n int) (int, error) { return n, nil })

func TestTheEndOfACtxCancelsEveryCallThatItBoundsAndNoOther(t *testing.T) {
	first, cancelFirst := context.WithCancelCause(t.Context())
	second, cancelSecond := context.WithCancelCause(t.Context())
	defer cancelSecond(nil)
	ex := &shelf{}
	var fs, others []*Future[int]
	for i := range 1000 {
		fs = append(fs, Submit(first, ex, same, i))
		if i%100 == 0 { // so that not all of them share a watch
			others = append(others, Submit(second, ex, same, i))
		}
	}
	reason := errors.New("enough")
	cancelFirst(reason)
	for _, f := range fs {
		err := f.Err(t.Context())
		require.ErrorIs(t, err, ErrCancelled)
		require.ErrorIs(t, err, reason)
	}
	for _, f := range others {
		require.Equal(t, Pending, f.State())
	}
	late := Submit(first, ex, same, 1)
	require.ErrorIs(t, late.Err(t.Context()), reason)
	cancelSecond(reason)
	for _, f := range others {
		require.ErrorIs(t, f.Err(t.Context()), reason)
	}
}

// A slow callback of one call does not keep the next one from being cancelled.
func TestACallbackDoesNotHoldUpTheCancellationOfOtherCalls(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ex := &shelf{}
	release := make(chan struct{})
	defer close(release)
	var fs []*Future[int]
	for i := range 7 {
		fs = append(fs, Submit(ctx, ex, same, i))
		if i != 3 {
			fs[i].OnDone(func(*Future[int]) { <-release })
		}
	}
	cancel()
	for _, f := range fs {
		require.ErrorIs(t, f.Err(t.Context()), ErrCancelled)
	}
}

// A ctx is let go of with the last call that it bounds.
func TestAWatchEndsWithItsLastCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ex := &shelf{}
	for range 2 {
		for i := range 10 {
			Submit(ctx, ex, same, i)
		}
		at := latest.Load()
		require.NotNil(t, at)
		for i, c := range ex.calls {
			assert.Same(t, at, latest.Load(), "call %d", i)
			c.Reject(errors.New("not today"))
		}
		assert.Nil(t, latest.Load())
		assert.Nil(t, at.calls)
		assert.False(t, at.stop(), "the ctx was let go of")
		ex.calls = nil
	}
}

func TestCallsThatEndWhileTheirCtxDoesAreSettledOnce(t *testing.T) {
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		ex := &shelf{}
		var fs []*Future[int]
		for i := range 100 {
			fs = append(fs, Submit(ctx, ex, same, i))
		}
		var both sync.WaitGroup
		both.Go(func() {
			for _, c := range ex.calls {
				if c.Start() {
					c.Invoke(ctx)
				}
			}
		})
		both.Go(cancel)
		both.Wait()
		for i, f := range fs {
			if n, err := f.Result(t.Context()); err != nil {
				require.ErrorIs(t, err, ErrCancelled)
			} else {
				require.Equal(t, i, n)
			}
		}
		if at := latest.Load(); at != nil {
			require.NotEqual(t, ctx.Done(), at.done, "a watch outlived its calls")
		}
	}
}
