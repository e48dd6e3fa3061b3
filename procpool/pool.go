package procpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool/internal/confine"
)

// A ProcessPoolExecutor is a [futures.Executor] over worker processes. A nil one refuses calls and has nothing to shut down, to end or to
// tell, so that methods may be called, or deferred, before the error of New is looked at.
type ProcessPoolExecutor struct {
	config  Config
	command resolved
	plan    *confine.Plan // nil: workers are held to nothing
	initArg []byte        // encoded argument of Config.Initializer
	output  io.Writer     // Config.Stderr, serialised; nil without
	room    chan struct{} // a token for each waiting call; nil without MaxQueue
	refuses atomic.Bool   // calls are refused
	closed  chan struct{} // closed once they are
	over    chan struct{} // closed once no worker is left and none will be started
	links   sync.WaitGroup

	functionsMu sync.RWMutex
	functions   map[functionKey]*function
	latest      atomic.Pointer[known] // the function that was looked for last

	intakeMu sync.Mutex
	intake   []*task     // submitted, and not known to the state
	spare    []*task     // for the next intake
	waiting  atomic.Bool // intake is not empty

	saturated atomic.Bool // calls wait for workers: further ones may wait in the intake for what happens next

	mu    sync.Mutex
	state *state
	link  map[workerID]*link
	alarm *time.Timer // calls tick at armed
	armed time.Time   // zero: not at all
}

// New makes a pool. It starts no process and no goroutine; the first Submit does (row P4). The error joins everything that is
// wrong with config.
func New(config Config) (*ProcessPoolExecutor, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	if !supported {
		return nil, fmt.Errorf("procpool: %w: worker processes on this system", errors.ErrUnsupported)
	}
	p := &ProcessPoolExecutor{
		config:    config,
		closed:    make(chan struct{}),
		over:      make(chan struct{}),
		link:      make(map[workerID]*link),
		functions: make(map[functionKey]*function),
		state: newState(policy{
			maxWorkers:    config.MaxWorkers,
			cores:         runtime.GOMAXPROCS(0),
			maxTasks:      config.MaxTasksPerChild,
			idleTimeout:   config.IdleTimeout,
			killGrace:     config.KillGrace,
			onCrash:       config.OnCrash,
			maxFutile:     config.MaxCrashes,
			maxRSS:        config.MaxRSS,
			window:        batchWindow,
			startPatience: max(config.KillGrace, defaultKillGrace),
		}),
	}
	if p.command.path, p.command.args, err = config.Worker.resolve(); err != nil {
		return nil, fmt.Errorf("procpool: Config.Worker: %w", err)
	}
	if p.plan, err = config.confinement(p.command.path); err != nil {
		return nil, err
	}
	for _, r := range p.Enforced() {
		if !r.Active {
			config.Logger.Warn("procpool: not enforced", "what", r.Name, "why", r.How)
		}
	}
	if !config.Initializer.IsZero() {
		if p.initArg, err = ipc.AppendValue(nil, config.Initializer.Arg()); err != nil {
			return nil, fmt.Errorf("procpool: Config.Initializer: the argument of %s: %w", config.Initializer.Func().Name(), err)
		}
	}
	if config.MaxQueue > 0 {
		p.room = make(chan struct{}, config.MaxQueue)
	}
	if config.Stderr != nil {
		p.output = &serialWriter{w: config.Stderr}
	}
	return p, nil
}

// batchWindow is how much work may be sent ahead to a worker, by measured durations.
const batchWindow = time.Millisecond

// resolved is a program and its arguments.
type resolved struct {
	path string
	args []string
}

var errNil = errors.New("procpool: the pool is nil: look at the error of New")

// Submit implements [futures.Executor]; call [futures.Submit] instead. The argument is encoded before Submit returns, so it may
// be changed afterwards; one that cannot be encoded fails its own call and nothing else (row P31). Submit waits only for
// room in a bounded queue.
func (p *ProcessPoolExecutor) Submit(c futures.Call) {
	if p == nil {
		c.Reject(errNil)
		return
	}
	if t := p.accept(c); t != nil {
		p.enqueue(t)
	}
}

// ChunkSize implements [futures.Chunker]. With a bounded queue every call waits for room by itself.
func (p *ProcessPoolExecutor) ChunkSize(fn futures.Callable) int {
	if p == nil || p.room != nil || fn.Name() == "" {
		return 0
	}
	f := p.function(fn)
	p.mu.Lock()
	defer p.unlock()
	return p.state.chunkSize(f)
}

// EncodeArg implements [futures.Chunker].
func (p *ProcessPoolExecutor) EncodeArg(dst []byte, fn futures.Callable, arg any) ([]byte, error) {
	encoded, err := ipc.AppendValue(dst, arg)
	if err != nil {
		return dst, fmt.Errorf("procpool: the argument of %s: %w", fn.Name(), err)
	}
	if n := len(fn.Name()) + len(encoded) - len(dst); n > ipc.MaxValue {
		return dst, fmt.Errorf("procpool: the argument of %.100s: %w: %w", fn.Name(), futures.ErrNotShareable, &ipc.TooLargeError{Len: uint64(n), Max: ipc.MaxValue})
	}
	return encoded, nil
}

// SubmitChunk implements [futures.Chunker].
func (p *ProcessPoolExecutor) SubmitChunk(c futures.Chunk) {
	if p == nil {
		for n := range c.Len() {
			c.Reject(n, errNil)
		}
		return
	}
	p.enqueue(&task{fn: p.function(c.Func()), span: &span{chunk: c, to: c.Len()}, retries: retriesOf(c)})
}

// Shutdown implements [futures.Executor]. What was accepted is finished, by workers that are started for it if need be. Workers
// that do not leave within Config.KillGrace are killed, so the wait ends once the last call has.
func (p *ProcessPoolExecutor) Shutdown(ctx context.Context, opts ...futures.ShutdownOption) error {
	if p == nil {
		return nil
	}
	cancel := futures.CollectShutdown(opts).CancelFutures
	p.update(func(s *state, now time.Time) { s.shutdown(cancel, now) })
	select {
	case <-p.over:
		p.links.Wait() // what is left to them is bounded
		return nil
	case <-ctx.Done():
	}
	select {
	case <-p.over: // both were ready
		p.links.Wait()
		return nil
	default:
		return context.Cause(ctx)
	}
}

// Close is Shutdown without a bound on the wait.
func (p *ProcessPoolExecutor) Close() error { return p.Shutdown(context.Background()) }

// TerminateWorkers shuts the pool down, cancels what has not started, and asks every worker to end at once (SIGTERM); those that
// have not within Config.KillGrace are killed. It does not wait; Close does (rows P63 to P65).
func (p *ProcessPoolExecutor) TerminateWorkers() {
	p.update(func(s *state, now time.Time) { s.terminate(syscall.SIGTERM, now) })
}

// KillWorkers is TerminateWorkers without asking (SIGKILL).
func (p *ProcessPoolExecutor) KillWorkers() {
	p.update(func(s *state, now time.Time) { s.terminate(syscall.SIGKILL, now) })
}

// Stats tells where the pool stands now.
func (p *ProcessPoolExecutor) Stats() Stats {
	var stats Stats
	notEnforced := p.notEnforced()
	p.update(func(s *state, _ time.Time) {
		stats = s.snapshot()
		stats.NotEnforced = notEnforced
		for _, w := range s.workers {
			l := p.link[w.id]
			if l == nil { // it is still to be launched, for a call that was admitted just now
				continue
			}
			if pid := l.pid(); pid != 0 {
				stats.PIDs = append(stats.PIDs, pid)
			}
		}
	})
	return stats
}
