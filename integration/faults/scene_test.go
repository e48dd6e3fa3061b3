//go:build linux

package faults_test

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/pooltest"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// patience bounds every wait for something that must happen. It is no measure of how long it may take.
const patience = 90 * time.Second

// A variant is a pool in which a cell is played. In a recycling one the call that is struck is the last of its worker, and the bystander's ctx is done.
type variant struct {
	policy  procpool.CrashPolicy
	recycle bool
}

var variants = []variant{{procpool.ReplaceWorker, false}, {procpool.ReplaceWorker, true}, {procpool.BreakPool, false}, {procpool.BreakPool, true}}

func (v variant) String() string {
	if v.recycle {
		return v.policy.String() + " recycling"
	}
	return v.policy.String()
}

// A scene is one cell, in one variant. There are a call that is struck, the victim; one that is in flight at another worker, the bystander; some that
// wait; and one that is cancelled while it does.
type scene struct {
	t *testing.T
	cell
	variant
	ctx    context.Context
	config procpool.Config
	pool   *procpool.ProcessPoolExecutor
	gate   *pooltest.Gate // of the victim and the bystander
	lurker *pooltest.Gate
	ledger pooltest.Ledger

	bystander, victim, cancelled *call
	waiting                      []*call
	interrupt                    context.CancelFunc // the bystander's ctx
	standing                     *pooltest.Visitor  // the bystander
	struck                       int                // the pid of the worker
	closing                      bool               // the pool has begun to shut down
	crashed                      bool               // the pool has taken the end of a worker that had answered for a crash
	begun                        time.Time
}

// A call is an errand, and what became of it.
type call struct {
	name   string
	future *futures.Future[pooltest.Receipt]
	got    pooltest.Receipt
	err    error
}

func newScene(t *testing.T, c cell, v variant) *scene {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	s := &scene{t: t, cell: c, variant: v, ctx: ctx, begun: time.Now()}
	var err error
	s.ledger, err = pooltest.NewLedger(t.TempDir())
	require.NoError(t, err)
	s.gate, s.lurker = s.newGate(), s.newGate()
	s.config = procpool.Config{
		Worker: procpool.Command(workerProgram()), MaxWorkers: 2, OnCrash: v.policy,
		KillGrace: patience, StartTimeout: patience, // nobody is taken for frozen on a slow machine
	}
	if s.impatient() {
		s.config.KillGrace = 300 * time.Millisecond
	}
	return s
}

// impatient scenes wait for a bound of the pool's.
func (s *scene) impatient() bool {
	return s.fault.nature == stalls || s.fault.nature == deafens || s.outcome == overdue
}

func (s *scene) newGate() *pooltest.Gate {
	g, err := pooltest.NewGate()
	require.NoError(s.t, err)
	s.t.Cleanup(func() { assert.NoError(s.t, g.Close()) })
	return g
}

// start makes the pool; perWorker is how many calls the struck worker has had when it is struck, the victim included.
func (s *scene) start(perWorker int) {
	if s.recycle {
		s.config.MaxTasksPerChild = perWorker
	}
	var err error
	s.pool, err = procpool.New(s.config)
	require.NoError(s.t, err)
	s.t.Cleanup(func() {
		s.pool.KillWorkers()
		assert.NoError(s.t, s.pool.Shutdown(s.ctx))
	})
}

func (s *scene) errand(name string, at pooltest.Point, faults ...pooltest.Fault) pooltest.Errand {
	return pooltest.Errand{Name: name, Ledger: s.ledger, At: at, Faults: faults}
}

func (s *scene) submit(ctx context.Context, e pooltest.Errand, opts ...futures.CallOption) *call {
	return &call{name: e.Name, future: futures.Submit(ctx, s.pool, pooltest.Carry, e, opts...)}
}

// meet waits for the next call at the gate.
func (s *scene) meet(g *pooltest.Gate) *pooltest.Visitor {
	v, err := g.Meet(s.ctx)
	require.NoError(s.t, err)
	return v
}

// occupy has a bystander hold one of the two workers.
func (s *scene) occupy() {
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	s.interrupt = cancel
	s.bystander = s.submit(ctx, s.errand("bystander", pooltest.Run, pooltest.Wait(s.gate.Addr())))
	s.standing = s.meet(s.gate)
}

// victimOptions bound a call that will not end by itself.
func (s *scene) victimOptions() []futures.CallOption {
	if s.outcome == overdue {
		return []futures.CallOption{futures.Timeout(300 * time.Millisecond)}
	}
	return nil
}

// queue submits calls that wait, one of which is cancelled, and interrupts the bystander.
func (s *scene) queue() {
	var opts []futures.CallOption
	if s.impatient() {
		opts = append(opts, futures.Timeout(3*time.Second)) // for one that has started at a worker that is frozen then
	}
	for _, name := range []string{"first", "second"} {
		s.waiting = append(s.waiting, s.submit(context.Background(), s.errand(name, pooltest.Run), opts...))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.cancelled = s.submit(ctx, s.errand("cancelled", pooltest.Run), opts...)
	if s.interrupted() {
		s.interrupt()
	}
}

// interrupted says whether the bystander's ctx is done. It goes on until it is told, for which KillGrace must be long.
func (s *scene) interrupted() bool { return s.recycle && s.bystander != nil && !s.impatient() }

// carried brings the victim to a point in the worker where its own code runs.
func carried(at pooltest.Point) func(*scene) {
	return func(s *scene) {
		s.start(1)
		s.occupy()
		s.victim = s.submit(context.Background(), s.errand("victim", at, pooltest.Wait(s.gate.Addr())), s.victimOptions()...)
		v := s.meet(s.gate)
		s.queue()
		s.strike(v)
		s.settle()
	}
}

// draining does that in a pool that has been told to shut down.
func (s *scene) draining() {
	s.start(1)
	s.occupy()
	s.victim = s.submit(context.Background(), s.errand("victim", pooltest.Run, pooltest.Wait(s.gate.Addr())), s.victimOptions()...)
	v := s.meet(s.gate)
	s.queue()
	done, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(s.t, s.pool.Shutdown(done), context.Canceled)
	s.closing = true
	s.strike(v)
	s.settle()
}

// large is more than pipes hold.
var large = make([]byte, 1<<20)

// tapped brings the victim to a point between its worker and the pool.
func tapped(at pooltest.WirePoint) func(*scene) {
	return func(s *scene) {
		s.config.Env = pooltest.Wiretap{At: at, Marker: "victim", Gate: s.lurker.Addr()}.Env(os.Environ())
		last := 1
		if at == pooltest.ReadResult {
			last = 2 // or else the worker may be let go before it stands at the gate
		}
		s.start(last)
		s.occupy()
		e := s.errand("victim", pooltest.Run)
		e.Load = large
		s.victim = s.submit(context.Background(), e, s.victimOptions()...)
		v := s.meet(s.lurker)
		s.queue()
		s.strike(v)
		s.lurker.Open() // where the victim passes again
		s.settle()
	}
}

// lurk leaves a goroutine in the worker that the bystander does not hold, to be struck when that runs no call.
func (s *scene) lurk() *pooltest.Visitor {
	l := s.submit(context.Background(), s.errand("lurker", pooltest.Run, pooltest.Lurk(s.lurker.Addr())))
	v := s.meet(s.lurker)
	require.NoError(s.t, l.future.Err(s.ctx))
	return v
}

// whileEncoding strikes in the caller, or the worker meanwhile.
func (s *scene) whileEncoding() {
	s.start(2)
	s.occupy()
	lurking := s.lurk()
	e := s.errand("victim", pooltest.EncodeArg, pooltest.Wait(s.gate.Addr()))
	submitted := make(chan *call, 1)
	go func() { submitted <- s.submit(context.Background(), e) }() // ends when the victim is let pass
	v := s.meet(s.gate)
	require.Equal(s.t, os.Getpid(), v.PID)
	if s.fault.nature == gives {
		s.struck = lurking.PID
		require.NoError(s.t, v.Befall(s.fault.does...))
	} else {
		s.strike(lurking)
		require.NoError(s.t, v.Befall())
	}
	s.victim = <-submitted
	s.queue()
	s.settle()
}

// whileDecoding strikes in the goroutine that takes in results, or the worker meanwhile.
func (s *scene) whileDecoding() {
	s.start(3) // so that the worker stays
	s.occupy()
	lurking := s.lurk()
	s.victim = s.submit(context.Background(), s.errand("victim", pooltest.DecodeResult, pooltest.Wait(s.gate.Addr())))
	v := s.meet(s.gate)
	require.Equal(s.t, os.Getpid(), v.PID)
	s.queue()
	if s.fault.nature == gives {
		s.struck = lurking.PID
		require.NoError(s.t, v.Befall(s.fault.does...))
	} else {
		s.strike(lurking)
		require.NoError(s.t, v.Befall())
	}
	s.settle()
}

// betweenCalls strikes a worker that has nothing to do.
func (s *scene) betweenCalls() {
	s.start(2)
	s.occupy()
	lurking := s.lurk()
	s.strike(lurking)
	s.victim = s.submit(context.Background(), s.errand("victim", pooltest.Run))
	s.queue()
	s.settle()
}

// initializing strikes the first of two workers that prepares for its calls.
func (s *scene) initializing() {
	s.config.Initializer = futures.Bind(pooltest.Carry, s.errand("initializer", pooltest.Run, pooltest.Wait(s.lurker.Addr())))
	if s.fault.nature == stalls {
		s.config.StartTimeout = 3 * time.Second
		s.config.MaxWorkers = 1 // another one's time would be over as soon
	}
	s.start(1)
	s.victim = s.submit(context.Background(), s.errand("victim", pooltest.Run))
	v := s.meet(s.lurker)
	s.queue()
	s.strike(v)
	if s.outcome != unusable { // or else the other worker must not be ready first
		s.lurker.Open()
	}
	s.settle()
}

// lettingGo strikes workers that have been let go.
func (s *scene) lettingGo() {
	s.config.KillGrace = time.Second
	s.config.Env = pooltest.Wiretap{At: pooltest.LetGo, Gate: s.lurker.Addr()}.Env(os.Environ())
	s.start(1)
	s.victim = s.submit(context.Background(), s.errand("victim", pooltest.Run))
	if s.recycle { // it is let go for that
		s.strike(s.meet(s.lurker))
	}
	require.NoError(s.t, s.victim.wait(s))
	closed := make(chan error, 1)
	go func() { closed <- s.pool.Shutdown(s.ctx) }() // ends within the scene's patience
	if s.recycle {                                   // whether its successor was there yet does not matter
		s.lurker.Open()
	} else {
		s.strike(s.meet(s.lurker))
	}
	require.NoError(s.t, <-closed)
	stats := s.pool.Stats()
	assert.Zero(s.t, stats.Crashed, "a worker that was let go is taken for a crash")
	assert.Zero(s.t, stats.Workers+stats.Leaving+len(stats.PIDs))
	s.checkStarts()
}

// strike has the fault happen to the visitor, and waits until it has, where that can be told.
func (s *scene) strike(v *pooltest.Visitor) {
	s.struck = v.PID
	require.NoError(s.t, v.Befall(s.fault.does...))
	switch {
	case s.fault.nature == stalls:
		remains.AwaitStop(s.t, v.PID)
	case s.fault.nature == breaches && (s.outcome == overdue || s.outcome == answered): // the pool does not see it now
	default:
		require.NoError(s.t, v.Gone(s.ctx))
	}
}

// wait notes what became of the call, which may not take for ever.
func (c *call) wait(s *scene) error {
	s.t.Helper()
	select {
	case <-c.future.Done():
	case <-s.ctx.Done():
		require.FailNow(s.t, "a call hangs", "%s: %+v", c.name, s.pool.Stats())
	}
	c.got, c.err = c.future.Result(context.Background())
	if c.err == nil {
		assert.Equal(s.t, c.name, c.got.Name, "a call has another one's result")
	}
	return c.err
}

// breaks says whether the pool must be broken in the end.
func (s *scene) breaks() bool {
	switch s.outcome {
	case unusable:
		return true
	case doomed, answered:
		return s.policy == procpool.BreakPool && s.crashed
	case lost, spared:
		return s.policy == procpool.BreakPool && s.fault.nature != stalls
	}
	return false
}

// settle waits for everything, and looks at it.
func (s *scene) settle() {
	switch {
	case s.outcome == doomed:
		s.provoke()
	case s.outcome == answered && s.fault.nature != stalls:
		s.bury()
	}
	if s.bystander != nil && !s.breaks() {
		if s.interrupted() {
			require.NoError(s.t, s.standing.Befall(pooltest.Obey()))
		} else {
			require.NoError(s.t, s.standing.Befall())
		}
	}
	cancelled := s.cancelled.future.Cancel()
	for _, c := range append([]*call{s.victim, s.bystander, s.cancelled}, s.waiting...) {
		if c != nil {
			_ = c.wait(s) // judged below
		}
	}
	s.checkVictim()
	s.checkOthers(cancelled)
	s.checkStarts()
	s.checkPool()
}

// provoke has the pool notice that a worker cannot be reached. One that has had its last call meanwhile may have left as it should.
func (s *scene) provoke() {
	for _, c := range append([]*call{s.victim}, s.waiting...) {
		_ = c.wait(s) // judged later
	}
	if failed := (*procpool.InitializerError)(nil); errors.As(s.victim.err, &failed) {
		s.outcome = unusable // it looked for its next call before the initializer was over
		return
	}
	for !s.recycle && !s.closing && s.pool.Stats().Crashed == 0 {
		c := s.submit(context.Background(), s.errand("provocation", pooltest.Run))
		if err := c.wait(s); err != nil {
			s.crash(c)
		}
	}
	s.crashed = s.pool.Stats().Crashed > 0 && !s.tookForFrozen()
}

// tookForFrozen says that the pool has waited for the struck worker in vain, and killed it, which breaks no pool. The worker knew of a call but had not read it
// when its pipe was closed: then nothing is left that would have it look.
func (s *scene) tookForFrozen() bool {
	if s.policy == procpool.ReplaceWorker || s.closing { // nothing follows from it
		return false
	}
	c := s.submit(context.Background(), s.errand("probe", pooltest.Run))
	if c.wait(s) != nil {
		return false // checkOthers has the errors of a broken pool
	}
	assert.GreaterOrEqual(s.t, time.Since(s.begun), s.config.KillGrace, "a worker that was lost has not broken the pool")
	return true
}

// bury waits until the pool knows that the worker has ended. One that has had its last call before may have been let go.
func (s *scene) bury() {
	remains.Until(s.t, "the pool knows of the end", func() bool { return !slices.Contains(s.pool.Stats().PIDs, s.struck) })
	if s.crashed = s.pool.Stats().Crashed > 0; !s.recycle {
		assert.True(s.t, s.crashed, "nobody had let it go")
	}
}

func (s *scene) checkVictim() {
	err := s.victim.err
	var task *futures.TaskError
	switch s.outcome {
	case unharmed, answered:
		require.NoError(s.t, err)
	case spared, relieved:
		if !s.breaks() {
			require.NoError(s.t, err)
			assert.NotEqual(s.t, s.struck, s.victim.got.PID)
		}
	case doomed:
		if err != nil {
			s.crash(s.victim)
		}
	case refused:
		require.Error(s.t, err)
		require.NotErrorIs(s.t, err, futures.ErrBrokenExecutor)
		assert.Contains(s.t, err.Error(), pooltest.Carry.Name())
		if s.fault.name == "error" && (s.point.name == "run" || s.point.name == "drain") {
			require.ErrorIs(s.t, err, pooltest.ErrInjected)
		}
		if !errors.As(err, &task) {
			require.ErrorIs(s.t, err, futures.ErrNotShareable)
		}
	case overdue:
		require.ErrorIs(s.t, err, futures.ErrTimeout)
		require.NotErrorIs(s.t, err, futures.ErrBrokenExecutor)
		crash := s.crash(s.victim)
		assert.Equal(s.t, pooltest.Carry.Name(), crash.Func)
	case lost:
		crash := s.crash(s.victim)
		s.checkEvidence(crash)
		assert.Equal(s.t, pooltest.Carry.Name(), crash.Func)
		assert.Equal(s.t, 1, crash.Attempt)
		assert.Equal(s.t, s.breaks(), errors.Is(err, procpool.ErrBrokenProcessPool))
	case unusable:
		require.ErrorIs(s.t, err, procpool.ErrBrokenProcessPool)
		var failed *procpool.InitializerError
		require.ErrorAs(s.t, err, &failed)
		assert.Equal(s.t, s.struck, failed.PID)
		assert.Equal(s.t, pooltest.Carry.Name(), failed.Func)
		assert.Contains(s.t, failed.Stderr, s.fault.stderr)
	}
}

// crash is the call's error.
func (s *scene) crash(c *call) *procpool.WorkerCrashError {
	s.t.Helper()
	var crash *procpool.WorkerCrashError
	require.ErrorAs(s.t, c.err, &crash, c.name)
	assert.Equal(s.t, s.struck, crash.PID, "%s: another process is named", c.name)
	return crash
}

// checkEvidence holds what is said of the worker's end against the fault.
func (s *scene) checkEvidence(crash *procpool.WorkerCrashError) {
	if s.fault.nature == stalls || s.fault.nature == deafens {
		return // it was killed, or went by itself
	}
	assert.Equal(s.t, s.fault.signal, crash.Signal)
	assert.Equal(s.t, s.fault.code, crash.ExitCode)
	assert.Contains(s.t, crash.Stderr, s.fault.stderr)
	cause := s.fault.cause
	if s.point.name == "write result" {
		cause = io.ErrUnexpectedEOF
	}
	if cause != nil {
		assert.ErrorIs(s.t, crash, cause)
	} else {
		assert.NoError(s.t, crash.Cause)
	}
}

// checkOthers: nobody else is lost, or with a broken pool everybody with an error of his own.
func (s *scene) checkOthers(cancelled bool) {
	others := append([]*call{s.cancelled}, s.waiting...)
	if s.bystander != nil {
		others = append(others, s.bystander)
	}
	errs := map[*procpool.WorkerCrashError]bool{}
	for _, c := range others {
		switch {
		case c == s.cancelled && cancelled:
			require.ErrorIs(s.t, c.err, futures.ErrCancelled)
		case c == s.bystander && !s.breaks() && s.interrupted():
			require.ErrorIs(s.t, c.err, context.Canceled)
			require.NotErrorIs(s.t, c.err, futures.ErrBrokenExecutor)
			var task *futures.TaskError
			require.ErrorAs(s.t, c.err, &task)
		case c.err == nil:
			if s.breaks() && c == s.bystander {
				assert.Fail(s.t, "a broken pool has finished a call that was held")
			}
		case s.breaks():
			require.ErrorIs(s.t, c.err, procpool.ErrBrokenProcessPool, c.name)
			if s.outcome != unusable {
				crash := s.crash(c)
				s.checkEvidence(crash)
				assert.False(s.t, errs[crash], "calls share an error")
				errs[crash] = true
			}
		default: // it had started at the worker that was struck
			require.NotErrorIs(s.t, c.err, futures.ErrBrokenExecutor)
			crash := s.crash(c)
			s.checkEvidence(crash)
			assert.Equal(s.t, pooltest.Carry.Name(), crash.Func)
			assert.Contains(s.t, []outcome{answered, relieved, doomed}, s.outcome, "%s is lost as well: %v", c.name, c.err)
			errs[crash] = true
			assert.Len(s.t, errs, 1, "a worker's end costs more than one call")
		}
	}
}

// checkStarts holds what the calls say of themselves against what the ledger says.
func (s *scene) checkStarts() {
	starts, err := s.ledger.Read()
	require.NoError(s.t, err)
	pids := map[string][]int{}
	for _, start := range starts {
		pids[start.Name] = append(pids[start.Name], start.PID)
	}
	for _, c := range append([]*call{s.victim, s.bystander, s.cancelled}, s.waiting...) {
		if c == nil {
			continue
		}
		ran := pids[c.name]
		assert.LessOrEqual(s.t, len(ran), 1, "%s was run twice", c.name)
		var crash *procpool.WorkerCrashError
		switch {
		case c.err == nil:
			assert.Equal(s.t, []int{c.got.PID}, ran, "%s has a result", c.name)
		case errors.Is(c.err, futures.ErrCancelled):
			assert.Empty(s.t, ran, "%s was cancelled, and has run", c.name)
		case errors.As(c.err, &crash) && !s.breaks():
			assert.Subset(s.t, []int{crash.PID}, ran, "%s was lost", c.name) // it may have been claimed, and no more
		}
	}
	switch s.outcome {
	case lost, overdue:
		assert.Len(s.t, pids["victim"], 1)
	case spared, relieved:
		if s.breaks() {
			assert.Empty(s.t, pids["victim"], "it must not have started")
		}
	}
}

// checkPool: the pool is worth what its policy says, and comes to its end.
func (s *scene) checkPool() {
	if s.breaks() {
		require.ErrorIs(s.t, s.submit(s.ctx, s.errand("late", pooltest.Run)).wait(s), procpool.ErrBrokenProcessPool)
	} else if !s.closing {
		all := []*call{}
		meeting := s.newGate()
		for _, name := range []string{"one", "other"} { // both at once: so many workers are there again
			all = append(all, s.submit(context.Background(), s.errand(name, pooltest.Run, pooltest.Wait(meeting.Addr()))))
		}
		a, b := s.meet(meeting), s.meet(meeting)
		assert.NotEqual(s.t, a.PID, b.PID)
		assert.NotContains(s.t, []int{a.PID, b.PID}, s.gone())
		meeting.Open()
		for _, c := range all {
			require.NoError(s.t, c.wait(s))
		}
	}
	require.NoError(s.t, s.pool.Shutdown(s.ctx), "the pool does not come to its end: %+v", s.pool.Stats())
	stats := s.pool.Stats()
	assert.Zero(s.t, stats.Workers+stats.Leaving+stats.Queued+stats.Sent+len(stats.PIDs), "%+v", stats)
	assert.Zero(s.t, stats.Retried)
	switch s.outcome {
	case lost, spared:
		assert.Equal(s.t, 1, stats.Crashed, "%+v", stats)
	case refused, unharmed:
		assert.Zero(s.t, stats.Crashed, "%+v", stats)
	case answered, relieved, unusable, overdue, doomed:
		assert.LessOrEqual(s.t, stats.Crashed, 1, "%+v", stats)
	}
	if !s.recycle && !s.breaks() {
		most := 2
		if s.outcome != refused && s.outcome != unharmed {
			most = 3
		}
		assert.LessOrEqual(s.t, stats.Started, most, "%+v", stats)
	}
}

// gone is the pid of the worker that must not be there any more; 0 if it may.
func (s *scene) gone() int {
	if s.outcome == refused || s.outcome == unharmed {
		return 0
	}
	return s.struck
}
