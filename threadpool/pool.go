package threadpool

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"

	"github.com/seed7d1be1d5/concurrent/futures"
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
type ThreadPoolExecutor struct {
	config Config
	room   chan struct{} // a token for each waiting call; nil without MaxQueue
	closed chan struct{} // closed once calls are refused
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
	pool    *ThreadPoolExecutor
	call    futures.Call
	element *list.Element // non-nil exactly while the job is in the queue; guarded by the pool's mu
}

// Cancelled makes room in the queue.
func (j *job) Cancelled() {
	j.pool.mu.Lock()
	defer j.pool.mu.Unlock()
	j.pool.unqueue(j)
}

// Interrupt has nothing to do: the body's ctx descends from the call's.
func (j *job) Interrupt(error) {}

// New makes a pool. It starts no goroutine; the first Submit does.
func New(config Config) (*ThreadPoolExecutor, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	if config.MaxWorkers == 0 {
		config.MaxWorkers = min(32, runtime.GOMAXPROCS(0)+4)
	}
	if config.NamePrefix == "" {
		config.NamePrefix = fmt.Sprintf("ThreadPoolExecutor-%d", pools.Add(1)-1)
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	p := &ThreadPoolExecutor{config: config, closed: make(chan struct{}), ended: make(chan struct{}), queue: list.New()}
	p.work.L = &p.mu
	if config.MaxQueue > 0 {
		p.room = make(chan struct{}, config.MaxQueue)
	}
	return p, nil
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
	if p.room != nil {
		select {
		case p.room <- struct{}{}:
		case <-p.closed: // which is why it is refused below
		case <-c.Context().Done(): // which cancels the call
			return
		}
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

// unqueue takes j out of the queue if it is there, and frees its room. It is called with mu held.
func (p *ThreadPoolExecutor) unqueue(j *job) {
	if j.element == nil {
		return
	}
	p.queue.Remove(j.element)
	j.element = nil
	if p.room != nil {
		<-p.room // its own token: never waits
	}
}

// serve is the life of a worker. Submit starts it, Shutdown lets it end and waits until the last one is gone.
func (p *ThreadPoolExecutor) serve(number int) {
	labels := pprof.Labels("worker", fmt.Sprintf("%s_%d", p.config.NamePrefix, number))
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), labels))
	initialized, returned := false, false
	defer func() {
		if initialized && !returned { // a body left by runtime.Goexit: this goroutine is lost, the worker is not
			go p.serve(number)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.workers--
		if p.workers == 0 { // and calls are refused, or it would not have left
			close(p.ended)
		}
	}()
	if p.initialize() {
		initialized = true
		for j := p.next(); j != nil; j = p.next() {
			p.run(j.call, labels)
		}
	}
	returned = true
}

func (p *ThreadPoolExecutor) run(c futures.Call, labels pprof.LabelSet) {
	returned := false
	defer func() {
		if !returned {
			c.Reject(futures.GoexitError(c.Func().Name()))
		}
	}()
	c.Invoke(pprof.WithLabels(context.WithValue(c.Context(), ownerKey{}, p), labels))
	returned = true
}

// initialize runs the initializer and breaks the pool if it fails.
func (p *ThreadPoolExecutor) initialize() bool {
	if p.config.Initializer.IsZero() {
		return true
	}
	err := error(futures.GoexitError(p.config.Initializer.Func().Name()))
	defer func() {
		if err != nil {
			p.refuse(fmt.Errorf("%w: the initializer failed, the pool is not usable any more: %w", ErrBrokenThreadPool, err), reject)
			p.config.Logger.Error("threadpool: the initializer failed: the pool is broken", "err", err)
		}
	}()
	err = p.config.Initializer.Run(context.WithValue(context.Background(), ownerKey{}, p))
	return err == nil
}

// next waits for a call and starts it. It returns nil when the pool is shut down or broken and the queue is empty.
func (p *ThreadPoolExecutor) next() *job {
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

// refuse closes the pool to new calls. The first reason stays, except that being broken outdoes being shut down (row E6).
// What becomes of the calls that wait is up to disposal, which must not run their callbacks itself: one may wait for a call
// that is yet to be disposed of.
func (p *ThreadPoolExecutor) refuse(why error, disposal func(futures.Call, error)) {
	var waiting []futures.Call
	p.mu.Lock()
	if p.refusal == nil {
		close(p.closed)
		if p.workers == 0 {
			close(p.ended)
		}
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

func reject(c futures.Call, why error) { c.Reject(why) } // false for a cancelled one, which stays so (row T9)
func cancel(c futures.Call, _ error)   { c.Cancel() }

type ownerKey struct{} // of the pool a body runs in

// Shutdown implements [futures.Executor]. Workers cannot be killed: a call that ignores its ctx is waited for. Called with the
// ctx of a call that runs in this pool it begins the shutdown and returns [ErrOwnWorker].
func (p *ThreadPoolExecutor) Shutdown(ctx context.Context, opts ...futures.ShutdownOption) error {
	if p == nil { // so that Close may be deferred before the error of New is looked at
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

// Close is Shutdown without a bound on the wait. A call that runs in this pool must not call it: it would wait for its own
// end. Shutdown with the call's ctx notices that.
func (p *ThreadPoolExecutor) Close() error { return p.Shutdown(context.Background()) }
