package futures

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

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
		assert.Nil(t, at.first)
		assert.Nil(t, at.last)
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

// holder notes which of its calls were cancelled, and in which order.
type holder struct {
	n     int
	order *[]int
}

func (h holder) Cancelled()    { *h.order = append(*h.order, h.n) }
func (holder) Interrupt(error) {}

// The oldest is the one that runs, or will next: it should not have to wait until a million others were cancelled.
func TestTheOldestCallIsGivenUpFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ex := &shelf{}
	var order []int
	var last *Future[int]
	for n := range 5 {
		last = Submit(ctx, ex, same, n)
		require.True(t, ex.calls[n].Hold(holder{n, &order}))
	}
	ex.calls[2].Reject(errors.New("not today"))
	told := make(chan struct{})
	last.OnDone(func(*Future[int]) { close(told) })
	cancel()
	<-told
	assert.Equal(t, []int{0, 1, 3, 4}, order)
}

// bell is a ctx of another make: its channel may be that of others, the reason is its own.
type bell struct {
	context.Context
	done   chan struct{}
	reason error
}

func (b bell) Done() <-chan struct{} { return b.done }

func (b bell) Err() error {
	select {
	case <-b.done:
		return b.reason
	default:
		return nil
	}
}

func TestEachCallIsCancelledForTheReasonOfItsOwnCtx(t *testing.T) {
	done := make(chan struct{})
	closing, moving := errors.New("we close"), errors.New("we move")
	ex := &shelf{}
	one := Submit(bell{context.Background(), done, closing}, ex, same, 1)
	other := Submit(bell{context.Background(), done, moving}, ex, same, 2)
	close(done)
	require.ErrorIs(t, one.Err(t.Context()), closing)
	require.ErrorIs(t, other.Err(t.Context()), moving)
}

// Row E10.
func TestAFutureThatIsKeptDoesNotKeepItsCtx(t *testing.T) {
	type key struct{}
	collected := make(chan struct{})
	ex := &shelf{}
	f := func() *Future[int] {
		value := new([1 << 10]byte)
		runtime.AddCleanup(value, func(c chan struct{}) { close(c) }, collected)
		ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, value))
		defer cancel()
		f := Submit(ctx, ex, same, 1)
		f.Done() // which stays with the future
		ex.calls[0].Reject(errors.New("not today"))
		ex.calls = nil
		return f
	}()
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		select {
		case <-collected:
			runtime.KeepAlive(f)
			return
		case <-time.After(time.Millisecond):
			require.True(t, time.Now().Before(deadline), "the ctx is still there")
		}
	}
}

// The ctx may be done between any two steps of those who make a watch.
func TestAWatchThatIsOverIsNotTheLatest(t *testing.T) {
	at := new(watch)
	ended := make(chan struct{})
	at.mu.Lock()
	go func() {
		defer close(ended)
		at.end()
	}()
	for !parked("(*watch).end") {
		runtime.Gosched()
	}
	latest.Store(at)
	require.False(t, at.over) // so watchFor leaves it there
	at.mu.Unlock()
	<-ended
	assert.Nil(t, latest.Load())
}

// parked reports whether a goroutine in the function waits for a lock.
func parked(function string) bool {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, function) {
			return strings.Contains(stack[:strings.IndexByte(stack, '\n')], "[sync.Mutex.Lock")
		}
	}
	return false
}
