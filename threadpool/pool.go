package threadpool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/internal/workers"
)

// ErrBrokenThreadPool is matched by the error of every call of a pool whose initializer failed. It is a
// [futures.ErrBrokenExecutor].
var ErrBrokenThreadPool = fmt.Errorf("%w: threadpool", futures.ErrBrokenExecutor)

// ErrOwnWorker is returned by Shutdown when it is called with the ctx of a call that runs on the same pool: waiting would
// be waiting for oneself (row E58). The shutdown has begun all the same.
var ErrOwnWorker = errors.New("threadpool: Shutdown cannot wait inside one of the pool's own workers")

// Config says how a pool works. The zero value is useful.
type Config struct {
	// MaxWorkers is the number of calls that may run at once. Zero means the smaller of 32 and four more than GOMAXPROCS (row T1).
	MaxWorkers int

	// NamePrefix begins the names of the workers, which are the value of the pprof label "worker": "prefix_0" and so on
	// (row T6). Empty means "ThreadPoolExecutor-" and a number of its own for each pool.
	NamePrefix string

	// Initializer runs once in each worker before its first call, and again in a worker that lost its goroutine because a
	// call left it by runtime.Goexit. If it fails, the pool is broken: calls that wait and calls submitted later fail with
	// ErrBrokenThreadPool, those that run finish (rows T7, T8). Zero means none.
	Initializer futures.Bound

	// MaxQueue is the number of calls that may wait for a worker before Submit waits itself. Zero means no limit. With a
	// limit, a call that submits to its own pool may have to wait for its own end: give it a ctx with a deadline.
	MaxQueue int

	// Logger hears of a failed initializer. Nil means slog.Default.
	Logger *slog.Logger
}

func (c Config) validate() error {
	var errs []error
	if c.MaxWorkers < 0 {
		errs = append(errs, fmt.Errorf("threadpool: Config.MaxWorkers is %d: it must be greater than 0, or 0 for the default", c.MaxWorkers))
	}
	if c.MaxQueue < 0 {
		errs = append(errs, fmt.Errorf("threadpool: Config.MaxQueue is %d: it must not be negative", c.MaxQueue))
	}
	if !c.Initializer.IsZero() && !c.Initializer.Func().HasBody() {
		errs = append(errs, fmt.Errorf("threadpool: Config.Initializer: %w: %q is only declared", futures.ErrNoBody, c.Initializer.Func().Name()))
	}
	return errors.Join(errs...)
}

var pools atomic.Int64 // numbers the default names

// A ThreadPoolExecutor is a [futures.Executor] over goroutines.
type ThreadPoolExecutor struct{ pool *workers.Pool }

// New makes a pool. It starts no goroutine; the first Submit does.
func New(config Config) (*ThreadPoolExecutor, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	if config.NamePrefix == "" {
		config.NamePrefix = fmt.Sprintf("ThreadPoolExecutor-%d", pools.Add(1)-1)
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	w := worker{config.Initializer}
	return &ThreadPoolExecutor{workers.New(workers.Config{
		Package: "threadpool", NewWorker: func() workers.Worker { return w }, Starts: w.name(), Failure: "the initializer failed",
		Broken: ErrBrokenThreadPool, OwnWorker: ErrOwnWorker,
		MaxWorkers: config.MaxWorkers, MaxQueue: config.MaxQueue, NamePrefix: config.NamePrefix, Logger: config.Logger,
	})}, nil
}

// Submit implements [futures.Executor]; call [futures.Submit] instead. It waits only for room in a bounded queue.
func (p *ThreadPoolExecutor) Submit(c futures.Call) {
	if p == nil {
		c.Reject(errors.New("threadpool: the pool is nil: look at the error of New"))
		return
	}
	if !c.Func().HasBody() {
		c.Reject(fmt.Errorf("%w: %q is only declared in this process", futures.ErrNoBody, c.Func().Name()))
		return
	}
	p.pool.Submit(c)
}

// Shutdown implements [futures.Executor]. Workers cannot be killed: a call that ignores its ctx is waited for. Called with the
// ctx of a call that runs in this pool it begins the shutdown and returns [ErrOwnWorker].
func (p *ThreadPoolExecutor) Shutdown(ctx context.Context, opts ...futures.ShutdownOption) error {
	if p == nil { // so that Close may be deferred before the error of New is looked at
		return nil
	}
	return p.pool.Shutdown(ctx, opts...)
}

// Close is Shutdown without a bound on the wait. A call that runs in this pool must not call it: it would wait for its own
// end. Shutdown with the call's ctx notices that.
func (p *ThreadPoolExecutor) Close() error { return p.Shutdown(context.Background()) }

// A worker is the goroutine it runs in, once that is initialized.
type worker struct{ initializer futures.Bound }

func (w worker) name() string {
	if w.initializer.IsZero() {
		return ""
	}
	return w.initializer.Func().Name()
}

func (w worker) Start(ctx context.Context) error {
	if w.initializer.IsZero() {
		return nil
	}
	return w.initializer.Run(ctx)
}

func (worker) Run(ctx context.Context, c futures.Call) (ready bool) {
	c.Invoke(ctx)
	return true
}

func (worker) Leave() {}
