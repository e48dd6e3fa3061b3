package procpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool/internal/confine"
)

// A ProcessPoolExecutor is a [futures.Executor] over worker processes.
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

// Submit implements [futures.Executor]; call [futures.Submit] instead. The argument is encoded before Submit returns, so it may
// be changed afterwards; one that cannot be encoded fails its own call and nothing else (row P31). Submit waits only for
// room in a bounded queue.
func (p *ProcessPoolExecutor) Submit(c futures.Call) {
	if p == nil {
		c.Reject(errors.New("procpool: the pool is nil: look at the error of New"))
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
	p.enqueue(&task{fn: p.function(c.Func()), span: &span{chunk: c, to: c.Len()}, retries: retriesOf(c)})
}

// accept makes a task of c, or settles it and returns nil.
func (p *ProcessPoolExecutor) accept(c futures.Call) *task {
	t := &task{call: c, fn: p.function(c.Func()), retries: retriesOf(c)}
	var err error
	if t.arg, err = p.EncodeArg(t.short[:0], c.Func(), c.Arg()); err != nil {
		c.Reject(err)
		return nil
	}
	if p.room != nil {
		select {
		case p.room <- struct{}{}:
			t.hasRoom = true
		case <-p.closed: // which is why it is refused below
		case <-c.Context().Done(): // which cancels the call
			return nil
		}
	}
	return t
}

// retriesOf is how often a call, or each of a chunk, may run again.
func retriesOf(c interface{ Retries() int }) int32 { return int32(min(c.Retries(), math.MaxInt32)) }

// functionKey tells Funcs apart.
type functionKey struct {
	name    string
	in, out reflect.Type
}

// known is a Func and what the pool knows of it.
type known struct {
	callable futures.Callable
	function *function
}

// function finds what the pool knows of fn.
func (p *ProcessPoolExecutor) function(fn futures.Callable) *function {
	if k := p.latest.Load(); k != nil && k.callable == fn {
		return k.function
	}
	f := p.lookUp(fn)
	p.latest.Store(&known{fn, f})
	return f
}

func (p *ProcessPoolExecutor) lookUp(fn futures.Callable) *function {
	key := functionKey{name: fn.Name()}
	key.in, key.out = fn.Types()
	p.functionsMu.RLock()
	f := p.functions[key]
	p.functionsMu.RUnlock()
	if f != nil {
		return f
	}
	f = &function{pool: p, name: key.name, in: ipc.Fingerprint(key.in), out: ipc.Fingerprint(key.out), decodes: ipc.RunsMethods(key.out)}
	p.functionsMu.Lock()
	defer p.functionsMu.Unlock()
	if known := p.functions[key]; known != nil {
		return known
	}
	p.functions[key] = f
	return f
}

// enqueue hands a task over to the state: by this goroutine, or by the one that is busy with the state.
func (p *ProcessPoolExecutor) enqueue(t *task) {
	if p.refuses.Load() {
		p.turnAway(t)
		return
	}
	p.leave(t)
}

// leave puts a task into the intake.
func (p *ProcessPoolExecutor) leave(t *task) {
	p.intakeMu.Lock()
	p.intake = append(p.intake, t)
	p.waiting.Store(true)
	many := len(p.intake) >= mostInIntake
	p.intakeMu.Unlock()
	if many || p.room != nil || t.span != nil || len(t.arg) >= ipc.MinShared || !p.saturated.Load() {
		p.takeIn(t)
	}
}

// mostInIntake bounds what waits in the intake of a saturated pool: a call that is cancelled there is forgotten only when it is taken in,
// and so is its argument. One that holds room of a bounded queue, or a large argument, does not wait there, nor does a chunk: its calls
// are settled by whoever holds it, also when they are cancelled.
const mostInIntake = 256

// turnAway is what becomes of calls that come too late: it is over when Submit returns.
func (p *ProcessPoolExecutor) turnAway(t *task) {
	if t.hasRoom {
		<-p.room // its own token: never waits
	}
	for n := range t.size() {
		p.mu.Lock()
		err := p.state.refusal(t)
		p.unlock()
		t.reject(n, err)
	}
}

// takeIn tells the state of what was submitted, unless somebody is there who will. own is what this goroutine submits, if it does.
func (p *ProcessPoolExecutor) takeIn(own *task) {
	for p.waiting.Load() && p.mu.TryLock() {
		p.admit(time.Now())
		p.settle(own)
	}
}

// admit moves the intake to the state. It is called with mu held.
func (p *ProcessPoolExecutor) admit(now time.Time) {
	if !p.waiting.Load() {
		return
	}
	p.intakeMu.Lock()
	tasks := p.intake
	p.intake = p.spare[:0]
	p.waiting.Store(false)
	p.intakeMu.Unlock()
	s := p.state
	accepted := tasks[:0]
	for _, t := range tasks {
		refused := s.refusal(t) != nil
		if !refused && t.hold() {
			accepted = append(accepted, t)
			continue
		}
		if t.hasRoom {
			s.left++
		}
		if refused {
			s.rejectEach(t, s.refusal)
		}
	}
	s.submitted(accepted, now)
	clear(tasks)
	if p.spare = tasks; cap(tasks) > keepIntake {
		p.spare = nil
	}
}

// keepIntake is the largest intake that is kept for the next one.
const keepIntake = 16 << 10

// Shutdown implements [futures.Executor]. What was accepted is finished, by workers that are started for it if need be. Workers
// that do not leave within Config.KillGrace are killed, so the wait ends once the last call has. A nil pool has nothing to
// shut down, so Close may be deferred before the error of New is looked at.
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
			if pid := p.link[w.id].pid(); pid != 0 {
				stats.PIDs = append(stats.PIDs, pid)
			}
		}
	})
	return stats
}

// update tells the state of an event and carries out what it decides. What goes to a worker's outbox does so before the
// next event, so that a call is never overtaken by its own cancel; the rest happens without the lock.
func (p *ProcessPoolExecutor) update(event func(*state, time.Time)) {
	p.mu.Lock()
	now := time.Now()
	p.admit(now) // what was submitted before the event comes before it
	event(p.state, now)
	p.settle(nil)
	p.takeIn(nil)
}

// unlock is how everybody else gives mu back: there may be submissions that were left to whoever had it.
func (p *ProcessPoolExecutor) unlock() {
	p.mu.Unlock()
	p.takeIn(nil)
}

// settle carries out what the state has decided. It is called with mu held and unlocks it. own is what this goroutine submits, if it does.
func (p *ProcessPoolExecutor) settle(own *task) {
	var later []action
	var direct *link // the one to which this goroutine writes itself
	for todo := p.state.todo; len(todo) > 0; {
		n := 1
		switch a := todo[0]; a.kind {
		case actSend, actInterrupt, actDismiss:
			for n < len(todo) && todo[n].kind == actSend && todo[n].worker == a.worker {
				n++
			}
			if l := p.link[a.worker]; l.post(todo[:n], own != nil && a.task == own) {
				direct = l
			}
		case actLaunch:
			p.launch(a.worker)
		default:
			later = append(later, a)
		}
		todo = todo[n:]
	}
	clear(p.state.todo)
	p.state.todo = p.state.todo[:0]
	for ; p.state.left > 0; p.state.left-- {
		<-p.room // a token of a task that has left the queue: never waits
	}
	p.setAlarm()
	p.saturated.Store(p.state.saturated()) // and after that whoever has mu looks at the intake again
	if p.state.broken != nil || p.state.closing {
		p.refuse()
	}
	p.mu.Unlock()
	if direct != nil {
		direct.writeNow()
	}
	for _, a := range later {
		p.perform(a)
	}
}

// refuse lets go of whoever waits for room. It is called with mu held.
func (p *ProcessPoolExecutor) refuse() {
	if !p.refuses.Swap(true) {
		close(p.closed)
	}
}

func (p *ProcessPoolExecutor) perform(a action) {
	switch a.kind {
	case actReject:
		a.task.reject(int(a.from), a.err)
	case actCancel:
		a.task.cancel()
	case actSignal:
		p.mu.Lock()
		l := p.link[a.worker]
		p.unlock()
		if l != nil {
			l.signal(a.signal)
		}
	case actWeigh:
		p.weigh(a.worker)
	case actOver:
		p.mu.Lock()
		defer p.unlock()
		select {
		case <-p.over:
		default:
			close(p.over)
			p.stopAlarm()
		}
	}
}

// weigh tells the state how much memory a worker has, if the system says.
func (p *ProcessPoolExecutor) weigh(id workerID) {
	p.mu.Lock()
	l := p.link[id]
	p.unlock()
	if l == nil {
		return
	}
	if bytes, ok := l.process.weight(); ok { // it was ready once, so there is a process
		p.update(func(s *state, now time.Time) { s.weighed(id, bytes, now) })
	}
}

// launch starts the life of a link. It is called with mu held.
func (p *ProcessPoolExecutor) launch(id workerID) {
	l := newLink(p, id)
	p.link[id] = l
	p.links.Go(l.live)
}

// setAlarm sees that tick is called when the state wants it. It is called with mu held.
func (p *ProcessPoolExecutor) setAlarm() {
	at := p.state.alarm
	if at.IsZero() || !p.armed.IsZero() && !at.Before(p.armed) {
		return
	}
	p.armed = at
	if p.alarm == nil {
		p.alarm = time.AfterFunc(time.Until(at), p.tick)
		return
	}
	p.alarm.Reset(time.Until(at))
}

func (p *ProcessPoolExecutor) stopAlarm() {
	if p.alarm != nil {
		p.alarm.Stop()
	}
}

func (p *ProcessPoolExecutor) tick() {
	p.update(func(s *state, now time.Time) {
		p.armed = time.Time{}
		s.tick(now)
	})
}
