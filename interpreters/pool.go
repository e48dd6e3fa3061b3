package interpreters

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
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
	if c.MaxWorkers == 0 {
		c.MaxWorkers = min(32, runtime.GOMAXPROCS(0)+4)
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
type InterpreterPoolExecutor struct {
	config PoolConfig
	ended  chan struct{} // closed once calls are refused and the last worker is gone

	mu       sync.Mutex
	refusal  error      // why calls are refused: shut down or broken; nil while open
	queue    *list.List // of *job: waiting, oldest first
	work     sync.Cond  // signalled for each job, broadcast when refusal is set
	workers  int        // live; at most MaxWorkers
	idle     int        // live and waiting for work
	lastName int        // number of the next worker's name
}

// job is one accepted call.
type job struct {
	pool    *InterpreterPoolExecutor
	call    futures.Call
	element *list.Element // non-nil exactly while the job is in the queue; guarded by the pool's mu
}

// Cancelled takes the job out of the queue.
func (j *job) Cancelled() {
	j.pool.mu.Lock()
	defer j.pool.mu.Unlock()
	j.pool.unqueue(j)
}

// Interrupt has nothing to do: whoever runs the guest looks at the call's ctx.
func (j *job) Interrupt(error) {}

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
	p := &InterpreterPoolExecutor{config: config, ended: make(chan struct{}), queue: list.New()}
	p.work.L = &p.mu
	return p, nil
}

// Submit implements [futures.Executor]; call [futures.Submit] instead. It does not wait.
func (p *InterpreterPoolExecutor) Submit(c futures.Call) {
	if p == nil {
		c.Reject(errors.New("interpreters: the pool is nil: look at the error of NewPool"))
		return
	}
	j := &job{pool: p, call: c}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal != nil {
		c.Reject(p.refusal)
		return
	}
	j.element = p.queue.PushBack(j)
	if !c.Hold(j) { // cancelled on its way here
		p.unqueue(j)
		return
	}
	if p.queue.Len() > p.idle && p.workers < p.config.MaxWorkers {
		p.workers++
		go p.serve(p.lastName)
		p.lastName++
		return
	}
	p.work.Signal()
}

// unqueue takes j out of the queue if it is there. It is called with mu held.
func (p *InterpreterPoolExecutor) unqueue(j *job) {
	if j.element != nil {
		p.queue.Remove(j.element)
		j.element = nil
	}
}

// next waits for a call and starts it. It returns nil when the pool is shut down or broken and the queue is empty.
func (p *InterpreterPoolExecutor) next() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for p.queue.Len() > 0 {
			j := p.queue.Front().Value.(*job)
			p.unqueue(j)
			if j.call.Start() {
				return j
			}
		}
		if p.refusal != nil {
			return nil
		}
		p.idle++
		p.work.Wait()
		p.idle--
	}
}

// over reports whether no call is left, and none will come: then no interpreter is worth its creation.
func (p *InterpreterPoolExecutor) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusal != nil && p.queue.Len() == 0
}

func (p *InterpreterPoolExecutor) refused() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusal
}

// refuse closes the pool to new calls. The first reason stays, except that being broken outdoes being shut down. What becomes of the
// calls that wait is up to disposal, which must not run their callbacks itself.
func (p *InterpreterPoolExecutor) refuse(why error, disposal func(futures.Call, error)) {
	var waiting []futures.Call
	p.mu.Lock()
	if p.refusal == nil && p.workers == 0 {
		p.end()
	}
	if p.refusal == nil || errors.Is(why, futures.ErrBrokenExecutor) {
		p.refusal = why
	}
	if disposal != nil {
		for e := p.queue.Front(); e != nil; e = p.queue.Front() {
			j := e.Value.(*job)
			p.unqueue(j)
			waiting = append(waiting, j.call)
		}
	}
	p.work.Broadcast()
	p.mu.Unlock()
	for _, c := range waiting {
		disposal(c, why)
	}
}

// end is called once, with mu held, when calls are refused and no worker is left.
func (p *InterpreterPoolExecutor) end() {
	_ = p.config.Image.Close() // the pool's own
	close(p.ended)
}

func reject(c futures.Call, why error) { c.Reject(why) } // false for a cancelled one, which stays so
func cancel(c futures.Call, _ error)   { c.Cancel() }

type ownerKey struct{} // of the pool in whose worker a function of the host runs

// Shutdown implements [futures.Executor]. With the ctx of a function of the host that runs in this pool it begins the shutdown and returns
// [ErrOwnWorker].
func (p *InterpreterPoolExecutor) Shutdown(ctx context.Context, opts ...futures.ShutdownOption) error {
	if p == nil { // so that Close may be deferred before the error of NewPool is looked at
		return nil
	}
	var disposal func(futures.Call, error)
	if futures.CollectShutdown(opts).CancelFutures {
		disposal = cancel
	}
	p.refuse(futures.ErrShutdown, disposal)
	if ctx.Value(ownerKey{}) == p {
		return ErrOwnWorker
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-p.ended: // both were ready
		return nil
	default:
		return context.Cause(ctx)
	}
}

// Close is Shutdown without a bound on the wait.
func (p *InterpreterPoolExecutor) Close() error { return p.Shutdown(context.Background()) }

// A poolWorker is a goroutine of a pool, with its interpreter.
type poolWorker struct {
	pool   *InterpreterPoolExecutor
	labels pprof.LabelSet
	ip     *Interpreter // nil if there is none yet, or none any more
	calls  int          // that it has made
}

// serve is the life of a worker. Submit starts it, Shutdown lets it end and waits until the last one is gone.
func (p *InterpreterPoolExecutor) serve(number int) {
	w := &poolWorker{pool: p, labels: pprof.Labels("worker", fmt.Sprintf("%s_%d", p.config.NamePrefix, number))}
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), w.labels))
	returned := false
	defer func() {
		w.retire()
		if !returned { // a function of the host left by runtime.Goexit: this goroutine is lost, the worker is not
			go p.serve(number)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.workers--
		if p.workers == 0 { // and calls are refused, or it would not have left
			p.end()
		}
	}()
	for !p.over() && w.ready() {
		j := p.next()
		if j == nil {
			break
		}
		w.run(j.call)
	}
	returned = true
}

// ready sees that there is an interpreter for the next call. It reports false when the pool is broken.
func (w *poolWorker) ready() bool {
	if limit := w.pool.config.MaxTasksPerInterpreter; limit > 0 && w.calls >= limit {
		w.retire()
	}
	if w.ip != nil {
		return true
	}
	err := w.create()
	if err == nil {
		return true
	}
	w.retire()
	w.pool.refuse(fmt.Errorf("%w: an interpreter cannot be started, the pool is not usable any more: %w", ErrBrokenInterpreterPool, err), reject)
	w.pool.config.Logger.Error("interpreters: an interpreter cannot be started: the pool is broken", "err", err)
	return false
}

func (w *poolWorker) create() (err error) {
	config := &w.pool.config
	ctx, cancel := context.WithTimeoutCause(context.WithValue(context.Background(), ownerKey{}, w.pool), config.StartTimeout,
		fmt.Errorf("interpreters: it was not ready within %v", config.StartTimeout))
	defer cancel()
	if w.ip, err = Create(ctx, config.Image, config.Interpreter); err != nil {
		return err
	}
	w.calls = 0
	if config.Initializer.IsZero() {
		return nil
	}
	fn := config.Initializer.Func()
	if err := w.ip.call(ctx, fn, config.Initializer.Arg(), fn.NewInvocation().Result(), 0); err != nil {
		return fmt.Errorf("the initializer failed: %w", taskError(err))
	}
	return nil
}

// retire closes the interpreter.
func (w *poolWorker) retire() {
	if w.ip != nil {
		_ = w.ip.Close() // it is idle, or dead
		w.ip = nil
	}
}

// run makes a call, and again if it may be.
func (w *poolWorker) run(c futures.Call) {
	returned := false
	defer func() {
		if !returned {
			c.Reject(futures.GoexitError(c.Func().Name()))
		}
	}()
	ctx := pprof.WithLabels(context.WithValue(c.Context(), ownerKey{}, w.pool), w.labels)
	var err error
	for left := c.Retries(); ; left-- {
		if w.ip.isGone() { // closed or killed by somebody else, who has it from ListAll
			w.retire()
			if !w.ready() {
				err = w.pool.refused()
				break
			}
		}
		w.calls++
		err = w.ip.call(ctx, c.Func(), c.Arg(), c.Out(), c.Timeout())
		var died *Died
		if !errors.As(err, &died) {
			break
		}
		w.retire()
		w.pool.config.Logger.Warn("interpreters: an interpreter of the pool died: another takes its place", "func", c.Func().Name(), "err", err)
		if left <= 0 || died.Reason == Interrupted || !w.ready() {
			break
		}
	}
	returned = true
	if err != nil {
		c.Reject(taskError(err))
		return
	}
	c.Resolve()
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
