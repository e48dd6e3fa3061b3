package interpreters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/internal/workers"
)

// ErrBrokenInterpreterPool is matched by the error of every call of a pool whose interpreters cannot be created or initialized. It is a
// [futures.ErrBrokenExecutor].
var ErrBrokenInterpreterPool = fmt.Errorf("%w: interpreters", futures.ErrBrokenExecutor)

// ErrOwnWorker is returned by Shutdown when it is called with the ctx of a function of the host that runs for a guest of the same pool: waiting
// would be waiting for oneself. The shutdown has begun all the same.
var ErrOwnWorker = errors.New("interpreters: Shutdown cannot wait inside one of the pool's own workers")

// PoolConfig says how a pool works. All but Image may be zero.
type PoolConfig struct {
	// Image is what the interpreters are created from. The pool goes on when it is closed.
	Image *Image

	// MaxWorkers is the number of interpreters, and of calls that may run at once. Zero means the smaller of 32 and four more than
	// GOMAXPROCS (row I1).
	MaxWorkers int

	// NamePrefix begins the names of the workers, which are the value of the pprof label "worker": "prefix_0" and so on. Empty means
	// "InterpreterPoolExecutor-" and a number of its own for each pool (row I2).
	NamePrefix string

	// Initializer runs once in each interpreter before its first call. If it fails, the pool is broken: calls that wait and calls submitted
	// later fail with ErrBrokenInterpreterPool, those that run finish (row I5). Zero means none.
	Initializer futures.Bound

	// MaxTasksPerInterpreter is how many calls an interpreter makes before another takes its place. Zero means no limit.
	MaxTasksPerInterpreter int

	// StartTimeout is how long an interpreter may take to be created and initialized, before the pool is broken. Zero means a minute.
	StartTimeout time.Duration

	// Interpreter is what every interpreter of the pool may have. Its writers are used by one at a time; its reader is shared.
	Interpreter Config

	// Logger hears of a broken pool, and of interpreters that die. Nil means slog.Default.
	Logger *slog.Logger
}

func (c PoolConfig) complete() (PoolConfig, error) {
	var errs []error
	switch {
	case c.Image == nil:
		errs = append(errs, errors.New("interpreters: PoolConfig.Image is nil"))
	default:
		errs = append(errs, c.Image.checkGuest())
		var err error
		c.Interpreter, err = c.Interpreter.complete(c.Image.key.config.MaxMemory)
		errs = append(errs, err)
		writing := new(sync.Mutex) // one for both, which may be the same
		c.Interpreter.Stdout = inTurn(writing, c.Interpreter.Stdout)
		c.Interpreter.Stderr = inTurn(writing, c.Interpreter.Stderr)
	}
	for _, n := range []struct {
		name  string
		value int64
	}{{"MaxWorkers", int64(c.MaxWorkers)}, {"MaxTasksPerInterpreter", int64(c.MaxTasksPerInterpreter)}, {"StartTimeout", int64(c.StartTimeout)}} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("interpreters: PoolConfig.%s is %d: it must be greater than 0, or 0 for the default", n.name, n.value))
		}
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, errors.Join(errs...)
}

// A turn is a writer that several interpreters share.
type turn struct {
	mu *sync.Mutex
	w  io.Writer
}

func inTurn(mu *sync.Mutex, w io.Writer) io.Writer {
	if w == nil {
		return nil
	}
	return turn{mu, w}
}

func (t turn) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}

var pools atomic.Int64 // numbers the default names

// An InterpreterPoolExecutor is a [futures.Executor] over interpreters: each of its workers is a goroutine with an interpreter of its own, which
// keeps its state from call to call (rows I3, I4).
//
// A call whose ctx is done is told so, and costs its interpreter if it does not listen within Config.Grace. A call that ends its
// interpreter fails alone, with a *[Died], unless it may be retried; the worker creates another. A function that fails, fails with
// a [*futures.TaskError] that has the *[ExecutionFailed] among its causes (row I10).
type InterpreterPoolExecutor struct{ pool *workers.Pool }

// NewPool makes a pool. It creates no interpreter and starts no goroutine; the first Submit does.
func NewPool(config PoolConfig) (*InterpreterPoolExecutor, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	if config.Image, err = config.Image.share(); err != nil {
		return nil, fmt.Errorf("interpreters: PoolConfig.Image: %w", err)
	}
	if config.NamePrefix == "" {
		config.NamePrefix = fmt.Sprintf("InterpreterPoolExecutor-%d", pools.Add(1)-1)
	}
	var pool *workers.Pool
	pool = workers.New(workers.Config{
		Package: "interpreters", NewWorker: func() workers.Worker { return &poolWorker{pool: pool, config: &config} }, Starts: "interpreters.Create",
		Failure: "an interpreter cannot be started", Broken: ErrBrokenInterpreterPool, OwnWorker: ErrOwnWorker,
		Ended:      func() { _ = config.Image.Close() }, // the pool's own
		MaxWorkers: config.MaxWorkers, NamePrefix: config.NamePrefix, Logger: config.Logger,
	})
	return &InterpreterPoolExecutor{pool}, nil
}

// Submit implements [futures.Executor]; call [futures.Submit] instead. It does not wait.
func (p *InterpreterPoolExecutor) Submit(c futures.Call) {
	if p == nil {
		c.Reject(errors.New("interpreters: the pool is nil: look at the error of NewPool"))
		return
	}
	p.pool.Submit(c)
}

// Shutdown implements [futures.Executor]. With the ctx of a function of the host that runs in this pool it begins the shutdown and returns
// [ErrOwnWorker].
func (p *InterpreterPoolExecutor) Shutdown(ctx context.Context, opts ...futures.ShutdownOption) error {
	if p == nil { // so that Close may be deferred before the error of NewPool is looked at
		return nil
	}
	return p.pool.Shutdown(ctx, opts...)
}

// Close is Shutdown without a bound on the wait.
func (p *InterpreterPoolExecutor) Close() error { return p.Shutdown(context.Background()) }

// A poolWorker is a goroutine of a pool, with its interpreter.
type poolWorker struct {
	pool   *workers.Pool
	config *PoolConfig
	home   context.Context // of the goroutine
	ip     *Interpreter    // nil if there is none yet, or none any more
	calls  int             // that it has made
}

// Start puts an interpreter in the place of the last one, if there was one.
func (w *poolWorker) Start(ctx context.Context) (err error) {
	w.Leave()
	w.home = ctx
	ctx, cancel := context.WithTimeoutCause(ctx, w.config.StartTimeout, fmt.Errorf("interpreters: it was not ready within %v", w.config.StartTimeout))
	defer cancel()
	if w.ip, err = Create(ctx, w.config.Image, w.config.Interpreter); err != nil {
		return err
	}
	w.calls = 0
	if w.config.Initializer.IsZero() {
		return nil
	}
	fn := w.config.Initializer.Func()
	if err := w.ip.call(ctx, fn, w.config.Initializer.Arg(), fn.NewInvocation().Result(), 0); err != nil {
		return fmt.Errorf("the initializer failed: %w", taskError(err))
	}
	return nil
}

// Run is ready for another call if there is an interpreter that may make one.
func (w *poolWorker) Run(ctx context.Context, c futures.Call) (ready bool) {
	if err := w.make(ctx, c); err != nil {
		c.Reject(taskError(err))
	} else {
		c.Resolve()
	}
	limit := w.config.MaxTasksPerInterpreter
	return w.ip != nil && (limit == 0 || w.calls < limit)
}

// make makes a call, and again if it may be.
func (w *poolWorker) make(ctx context.Context, c futures.Call) error {
	for left := c.Retries(); ; left-- {
		if w.ip.isGone() { // closed or killed by somebody else, who has it from ListAll
			if err := w.pool.Start(w.home, w); err != nil {
				return err
			}
		}
		w.calls++
		err := w.ip.call(ctx, c.Func(), c.Arg(), c.Out(), c.Timeout())
		var died *Died
		if !errors.As(err, &died) {
			return err
		}
		w.Leave()
		w.config.Logger.Warn("interpreters: an interpreter of the pool died: another takes its place", "func", c.Func().Name(), "err", err)
		if left <= 0 || died.Reason == Interrupted || w.pool.Start(w.home, w) != nil {
			return err
		}
	}
}

// Leave closes the interpreter.
func (w *poolWorker) Leave() {
	if w.ip != nil {
		_ = w.ip.Close() // it is idle, or dead
		w.ip = nil
	}
}

// taskError is err as a caller of an executor expects it: the failure of a function is a [*futures.TaskError].
func taskError(err error) error {
	var failed *ExecutionFailed
	if !errors.As(err, &failed) {
		return err
	}
	task := *failed.task
	task.Causes = append(slices.Clone(task.Causes), failed)
	return &task
}
