// Package workers is the pool that the executors over goroutines of this process have in common. They differ in what a worker is: see [Worker].
//
//	Submit ──▶ queue (first in, first out) ──▶ goroutine ──▶ Worker ──▶ Future
//
// One mutex guards the queue, the count of goroutines and why calls are refused. Goroutines start on demand, only when none is idle, and end in
// Shutdown, which waits for them. Each has a Worker of its own, which nobody else uses.
package workers

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// Config says what a kind of pool is, and how one of them works.
type Config struct {
	Package   string        // of the executor: it begins what the logger hears
	NewWorker func() Worker // makes the worker of a goroutine; called in it
	Starts    string        // the name of the function that Start runs, for the failure if it leaves by runtime.Goexit
	Failure   string        // what has happened when Start fails: "the initializer failed"
	Broken    error         // what calls fail with from then on; a futures.ErrBrokenExecutor
	OwnWorker error         // what Shutdown returns where waiting would be waiting for oneself
	Ended     func()        // called once, before Shutdown returns, when no worker is left and none will come; nil for nothing

	MaxWorkers int    // zero means the smaller of 32 and four more than GOMAXPROCS
	MaxQueue   int    // calls that may wait before Submit waits itself; zero means no limit
	NamePrefix string // of the pprof label "worker"
	Logger     *slog.Logger
}

// A Pool is all of an executor but its workers.
type Pool struct {
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
	pool    *Pool
	call    futures.Call
	element *list.Element // non-nil exactly while the job is in the queue; guarded by the pool's mu
}

// Cancelled makes room in the queue.
func (j *job) Cancelled() {
	j.pool.mu.Lock()
	defer j.pool.mu.Unlock()
	j.pool.unqueue(j)
}

// Interrupt has nothing to do: whoever runs the call looks at its ctx.
func (j *job) Interrupt(error) {}

// New makes a pool. It starts no goroutine; the first Submit does.
func New(config Config) *Pool {
	if config.MaxWorkers == 0 {
		config.MaxWorkers = min(32, runtime.GOMAXPROCS(0)+4)
	}
	p := &Pool{config: config, closed: make(chan struct{}), ended: make(chan struct{}), queue: list.New()}
	p.work.L = &p.mu
	if config.MaxQueue > 0 {
		p.room = make(chan struct{}, config.MaxQueue)
	}
	return p
}

// Submit is that of [futures.Executor]. It waits only for room in a bounded queue.
func (p *Pool) Submit(c futures.Call) {
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
func (p *Pool) unqueue(j *job) {
	if j.element == nil {
		return
	}
	p.queue.Remove(j.element)
	j.element = nil
	if p.room != nil {
		<-p.room // its own token: never waits
	}
}

// next waits for a call and starts it. It returns nil when the pool is shut down or broken and the queue is empty.
func (p *Pool) next() futures.Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for p.queue.Len() > 0 {
			j := p.queue.Front().Value.(*job)
			p.unqueue(j)
			if j.call.Start() {
				return j.call
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

// over reports whether no call is left, and none will come: then no worker is worth its start.
func (p *Pool) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusal != nil && p.queue.Len() == 0
}

// refuse closes the pool to new calls. The first reason stays, except that being broken outdoes being shut down (row E6).
// What becomes of the calls that wait is up to disposal, which must not run their callbacks itself: one may wait for a call
// that is yet to be disposed of.
func (p *Pool) refuse(why error, disposal func(futures.Call, error)) {
	var waiting []futures.Call
	p.mu.Lock()
	unused := p.refusal == nil && p.workers == 0
	if p.refusal == nil {
		close(p.closed)
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
	if unused {
		p.end()
	}
}

func reject(c futures.Call, why error) { c.Reject(why) } // false for a cancelled one, which stays so (row T9)
func cancel(c futures.Call, _ error)   { c.Cancel() }

// left is the end of a worker.
func (p *Pool) left() {
	p.mu.Lock()
	p.workers--
	last := p.workers == 0 // and calls are refused, or it would not have left
	p.mu.Unlock()
	if last {
		p.end()
	}
}

// end is called once, by whoever sees that calls are refused and no worker is left.
func (p *Pool) end() {
	if p.config.Ended != nil {
		p.config.Ended()
	}
	close(p.ended)
}

// ownerKey is of the pool one of whose workers a ctx was made for.
type ownerKey struct{ pool *Pool }

func (p *Pool) own(ctx context.Context) context.Context {
	return context.WithValue(ctx, ownerKey{p}, struct{}{})
}

// Shutdown is that of [futures.Executor]. With a ctx that descends from one that a worker of this pool was given it begins the shutdown and
// returns Config.OwnWorker.
func (p *Pool) Shutdown(ctx context.Context, opts ...futures.ShutdownOption) error {
	var disposal func(futures.Call, error)
	if futures.CollectShutdown(opts).CancelFutures {
		disposal = cancel
	}
	p.refuse(futures.ErrShutdown, disposal)
	if ctx.Value(ownerKey{p}) != nil {
		return p.config.OwnWorker
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
