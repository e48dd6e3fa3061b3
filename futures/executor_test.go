package futures_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/seed7d1be1d5/concurrent/futures"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

// double is the function that most tests submit.
var double = futures.NewFunc("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

// oddFails doubles even numbers and fails on odd ones.
var oddFails = futures.NewFunc("oddFails", func(_ context.Context, n int) (int, error) {
	if n%2 == 1 {
		return 0, errBoom
	}
	return 2 * n, nil
})

// A desk is an Executor on which nothing happens until the test says so: calls are held in the order in which they came,
// and run in the goroutine of whoever says run.
type desk struct {
	mu          sync.Mutex
	held        []*held
	sizes       []int // how many calls came at a time
	refusal     error
	cancelled   []*held // of which the desk was told
	interrupted []error // causes of which the desk was told
}

// held is one call on the desk, which answers for it.
type held struct {
	futures.Call
	desk *desk
}

func (h *held) Cancelled() {
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	h.desk.cancelled = append(h.desk.cancelled, h)
}

func (h *held) Interrupt(cause error) {
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	h.desk.interrupted = append(h.desk.interrupted, cause)
}

func (d *desk) Submit(c futures.Call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes = append(d.sizes, 1)
	if d.refusal != nil {
		c.Reject(d.refusal)
		return
	}
	if h := (&held{c, d}); c.Hold(h) {
		d.held = append(d.held, h)
	}
}

// next takes the oldest call off the desk.
func (d *desk) next(t testing.TB) *held {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.held) == 0 {
		assert.FailNow(t, "the desk is empty")
	}
	h := d.held[0]
	d.held = d.held[1:]
	return h
}

// run takes the n oldest calls off the desk and runs those that were not cancelled.
func (d *desk) run(t testing.TB, n int) {
	t.Helper()
	for range n {
		if h := d.next(t); h.Start() {
			h.Invoke(h.Context())
		}
	}
}

func (d *desk) handedOver() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]int{}, d.sizes...)
}

func (d *desk) holding() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.held)
}

// refuse turns every later call away.
func (d *desk) refuse(why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refusal = why
}

func (d *desk) Shutdown(_ context.Context, opts ...futures.ShutdownOption) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refusal = futures.ErrShutdown
	if futures.CollectShutdown(opts).CancelFutures {
		for _, h := range d.held {
			h.Cancel() // under the desk's own lock, as the interface allows
		}
		d.held = nil
	}
	return nil
}

func (d *desk) Close() error { return d.Shutdown(context.Background()) }

// inline runs each call in Submit.
type inline struct{ desk }

func (e *inline) Submit(c futures.Call) {
	e.desk.Submit(c)
	if c.Start() {
		c.Invoke(c.Context())
	}
}

var (
	_ futures.Executor = (*desk)(nil)
	_ futures.Holder   = (*held)(nil)
)

// done is a ctx that is done because of cause.
func done(cause error) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	return ctx
}

// The makers of futures in each state.

func pending() *futures.Future[int] { return futures.NewPromise[int]().Future() }

func running() *futures.Future[int] {
	p := futures.NewPromise[int]()
	p.Start()
	return p.Future()
}

func cancelled() *futures.Future[int] {
	f := pending()
	f.Cancel()
	return f
}

func resolved(n int) *futures.Future[int] {
	p := futures.NewPromise[int]()
	_ = p.Resolve(n)
	return p.Future()
}

func rejected(err error) *futures.Future[int] {
	p := futures.NewPromise[int]()
	_ = p.Reject(err)
	return p.Future()
}

// assertSame compares futures by identity, where assert.Equal would look into them.
func assertSame[F interface {
	comparable
	futures.Awaitable
}](t testing.TB, want, got []F, msg ...any) {
	t.Helper()
	if !slices.Equal(want, got) {
		assert.Fail(t, fmt.Sprintf("want %v\n got %v", want, got), msg...)
	}
}
