package procpool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

var probe = futures.Declare[int, int]("probe")

// simulation carries out what a state decides on workers that exist only here, in a time that only moves when told to. It is
// the executor of the calls it makes.
type simulation struct {
	t       testing.TB
	state   *state
	now     time.Time
	fn      *function // the one that every call is of
	claims  bool      // whether workers offer claims
	chunks  bool      // whether they take chunks as well
	workers map[workerID]*simWorker
	calls   []*simCall
	over    bool
}

// simWorker is a worker's side: calls arrive in order, and are claimed, finished and answered one by one.
type simWorker struct {
	id      workerID
	claims  *ipc.Claims
	ready   bool
	inbox   []simSent
	running bool // the first of inbox was started
	done    bool // and finished, but its answer is not out
	leaving bool
	killed  bool      // was sent a signal that ends it
	asked   bool      // the last one was to say what it is doing
	unread  []simSent // answered, but the host has not looked
	unheard bool      // the host does not look by itself
	frozen  bool      // does nothing
	weighed int       // the host has asked so often for its memory
}

type simSent struct {
	id        uint64
	first     uint64 // of the message it came with
	alone     bool   // in its message
	call      *simCall
	withdrawn bool // the answer says so
}

// simCall is a call of its own, which has a future and a task, or one of a chunk.
type simCall struct {
	future *futures.Future[int]
	task   *task
	chunk  *simChunk
	starts int
	told   int // interruptions

	settled bool // one of a chunk
	err     error
}

// outcome is what became of a call.
func (c *simCall) outcome() (settled, cancelled bool, err error) {
	if c.chunk != nil {
		return c.settled, errors.Is(c.err, futures.ErrCancelled), c.err
	}
	state := c.future.State()
	if settled = state == futures.Finished || state == futures.Cancelled; settled {
		err = c.future.Err(context.Background())
	}
	return settled, state == futures.Cancelled, err
}

// simChunk is what a Map would submit.
type simChunk struct {
	futures.Chunk // for its sealed method
	t             testing.TB
	calls         []*simCall
	whole         bool
	timeout       time.Duration
	retries       int
	holder        futures.Holder
	cancelled     error
}

func (c *simChunk) Context() context.Context     { return context.Background() }
func (c *simChunk) Timeout() time.Duration       { return c.timeout }
func (c *simChunk) Whole() bool                  { return c.whole }
func (c *simChunk) Args(from, to int) []byte     { return make([]byte, to-from) }
func (c *simChunk) Hold(h futures.Holder) bool   { c.holder = h; return true }
func (c *simChunk) Cancelled() error             { return c.cancelled }
func (c *simChunk) Resolve(n int) bool           { return c.settle(n, nil) }
func (c *simChunk) Reject(n int, err error) bool { return c.settle(n, err) }

// cancel is what a Map does when it is broken off, interrupt what it does when its ctx is done.
func (c *simChunk) cancel() {
	if c.cancelled = futures.ErrCancelled; c.holder != nil {
		c.holder.Cancelled()
	}
}

func (c *simChunk) interrupt(cause error) {
	if c.cancel(); c.holder != nil {
		c.holder.Interrupt(cause)
	}
}

func (c *simChunk) settle(n int, err error) bool {
	call := c.calls[n]
	require.False(c.t, call.settled, "a call of a chunk is settled twice: %v, and then %v", call.err, err)
	call.settled, call.err = true, err
	return true
}

func simulate(t testing.TB, p policy, claims bool) *simulation {
	s := &simulation{t: t, state: newState(p), now: time.Unix(1000, 0), claims: claims, workers: make(map[workerID]*simWorker)}
	s.fn = &function{pool: s, name: "probe"}
	return s
}

func testPolicy() policy {
	return policy{maxWorkers: 2, cores: 2, killGrace: time.Second, maxFutile: 5, window: time.Millisecond, startPatience: 2 * time.Second}
}

// update does what ProcessPoolExecutor.update does, without a lock: everything here happens in one goroutine.
func (s *simulation) update(event func(*state, time.Time)) {
	event(s.state, s.now)
	todo := slices.Clone(s.state.todo)
	s.state.todo = s.state.todo[:0]
	s.checkInvariants()
	for _, a := range todo {
		w := s.workers[a.worker]
		switch a.kind {
		case actLaunch:
			s.workers[a.worker] = &simWorker{id: a.worker}
		case actSend:
			require.True(s.t, w.ready, "a call was sent to a worker that is not ready")
			require.False(s.t, w.leaving, "a call was sent to a worker that was dismissed")
			for n, call := range s.callsOf(a) {
				w.inbox = append(w.inbox, simSent{id: a.id + uint64(n), first: a.id, alone: a.n == 1, call: call})
			}
			require.True(s.t, a.n == 1 || s.chunks, "a chunk was sent to a worker that takes none")
			a.task.written.Store(int64(s.now.Sub(epoch)))
			if w.claims == nil {
				require.Len(s.t, w.inbox, 1, "a worker without claims was sent a call ahead")
			}
		case actInterrupt:
			if w == nil {
				break
			}
			for _, sent := range w.inbox {
				if sent.id == a.id {
					sent.call.told++
				}
			}
		case actDismiss:
			require.Empty(s.t, w.inbox, "a worker was dismissed with calls")
			require.Empty(s.t, w.unread, "a worker was dismissed with answers")
			w.leaving = true
		case actSignal:
			if w != nil {
				w.asked = a.signal == syscall.SIGQUIT
				w.killed = w.killed || !w.asked || !w.frozen
			}
		case actReject:
			a.task.reject(int(a.from), a.err)
		case actCancel:
			a.task.cancel()
		case actWeigh:
			w.weighed++
		case actOver:
			s.over = true
		}
	}
}

// callsOf lists the calls that an action sends.
func (s *simulation) callsOf(a action) []*simCall {
	if v := a.task.span; v != nil {
		return v.chunk.(*simChunk).calls[a.from : a.from+a.n]
	}
	i := slices.IndexFunc(s.calls, func(c *simCall) bool { return c.task == a.task })
	return s.calls[i : i+1]
}

// checkInvariants holds after every event, whatever its order.
func (s *simulation) checkInvariants() {
	st := s.state
	var phases [condemned + 1]int
	busy := 0
	for _, w := range st.workers {
		phases[w.phase]++
		if len(w.calls) > 0 && (w.phase == ready || w.phase == retiring) {
			busy++
		}
	}
	require.Equal(s.t, phases, st.phases)
	require.Equal(s.t, busy, st.busy)
	require.LessOrEqual(s.t, phases[starting]+phases[ready], st.policy.maxWorkers, "more workers than allowed")
	require.LessOrEqual(s.t, len(st.workers), 2*st.policy.maxWorkers, "more processes than allowed")
	require.LessOrEqual(s.t, busy, st.policy.maxWorkers, "more calls run at once than allowed")
	for _, w := range st.spare {
		require.Equal(s.t, ready, w.phase)
		require.Empty(s.t, w.calls, "a spare worker has calls")
	}
	for _, w := range st.workers {
		if w.phase == ready && len(w.calls) == 0 {
			require.Contains(s.t, st.spare, w, "an idle worker is forgotten")
		}
		require.False(s.t, w.phase == leaving && len(w.calls) > 0, "a leaving worker has calls")
	}
	n, calls := 0, 0
	for t := st.queue.head; t != nil; t = t.next {
		require.True(s.t, t.queued)
		require.Positive(s.t, t.size())
		n++
		calls += t.size()
	}
	require.Equal(s.t, st.queue.len, n)
	require.Equal(s.t, st.queue.calls, calls)
	for _, w := range st.workers {
		for i := range w.calls {
			f := &w.calls[i]
			require.True(s.t, 0 <= f.done && f.done < f.n && 0 <= f.cut && f.cut <= f.n, "%+v", f)
			if f.task != nil {
				require.EqualValues(s.t, f.cut, f.task.size(), "a flight and its task differ")
			}
			if i > 0 {
				require.Equal(s.t, w.calls[i-1].last()+1, f.id)
			}
		}
		if len(w.calls) > 0 {
			require.Equal(s.t, w.lastID, w.calls[len(w.calls)-1].last())
			require.True(s.t, w.claims == nil || int(w.lastID-w.calls[0].id) < w.claims.Slots(), "two calls share a slot")
		}
		require.GreaterOrEqual(s.t, w.load, time.Duration(0))
		require.True(s.t, len(w.calls) > 0 || w.load == 0, "a worker without calls has a load of %v", w.load)
	}
	if st.broken != nil {
		require.Zero(s.t, n, "calls wait in a broken pool")
	}
	if n > 0 && len(st.workers) == 0 {
		require.False(s.t, st.alarm.IsZero(), "calls wait, and nobody will ever run them")
	}
}

// Submit makes simulation the executor of its own calls.
func (s *simulation) Submit(c futures.Call) {
	t := &task{call: c, fn: s.fn, retries: retriesOf(c)}
	s.calls[len(s.calls)-1].task = t
	s.update(func(st *state, now time.Time) {
		if err := st.refusal(t); err != nil {
			st.reject(t, err)
			return
		}
		if c.Hold(t) {
			st.submitted([]*task{t}, now)
		}
	})
}

func (s *simulation) Shutdown(context.Context, ...futures.ShutdownOption) error { return nil }
func (s *simulation) Close() error                                              { return nil }

func (s *simulation) submit(opts ...futures.CallOption) *simCall {
	return s.submitIn(context.Background(), opts...)
}

func (s *simulation) submitIn(ctx context.Context, opts ...futures.CallOption) *simCall {
	c := &simCall{}
	s.calls = append(s.calls, c)
	c.future = futures.Submit(ctx, s, probe, len(s.calls), opts...)
	return c
}

// submitChunk submits n calls as a Map does.
func (s *simulation) submitChunk(n int, c *simChunk) []*simCall {
	c.t = s.t
	for range n {
		c.calls = append(c.calls, &simCall{chunk: c})
	}
	s.calls = append(s.calls, c.calls...)
	t := &task{fn: s.fn, span: &span{chunk: c, to: n}, retries: int32(c.retries)}
	s.update(func(st *state, now time.Time) {
		if st.refusal(t) != nil {
			st.rejectEach(t, st.refusal)
			return
		}
		if t.hold() {
			st.submitted([]*task{t}, now)
		}
	})
	return c.calls
}

// ids lists the workers in the order of their start.
func (s *simulation) ids() []workerID {
	var ids []workerID
	for id := range s.workers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (s *simulation) becomeReady(w *simWorker) {
	if s.claims {
		claims, err := ipc.NewClaims(make([]byte, 8*16))
		require.NoError(s.t, err)
		w.claims = claims
	}
	w.ready = true
	s.update(func(st *state, now time.Time) {
		st.becameReady(w.id, abilities{
			claims: w.claims, chunks: s.chunks && s.claims, dumps: s.claims,
			refuse: func(*task) error { return nil },
			silent: func() bool { return len(w.unread) == 0 },
		}, now)
	})
}

// start has the worker start the first of its calls, if it may.
func (s *simulation) start(w *simWorker) {
	if len(w.inbox) == 0 || w.running || !w.ready || w.frozen {
		return
	}
	sent := w.inbox[0]
	claimed := true
	switch {
	case w.claims == nil:
	case sent.id == sent.first:
		claimed = w.claims.Start(sent.id)
	default:
		claimed = w.claims.Advance(sent.first, sent.id)
	}
	if !claimed {
		w.inbox = w.inbox[1:]
		s.answer(w, sent, true)
		return
	}
	w.running = true
	sent.call.starts++
	_, cancelled, _ := sent.call.outcome()
	require.False(s.t, cancelled, "a cancelled call was started")
}

// finish has the worker finish the call it runs, without the answer.
func (s *simulation) finish(w *simWorker) {
	if w.running && !w.done && !w.frozen {
		w.done = true
		if w.claims != nil && w.inbox[0].alone {
			w.claims.Finish(w.inbox[0].id)
		}
	}
}

// respond lets the answer through.
func (s *simulation) respond(w *simWorker) {
	if !w.done || w.frozen {
		return
	}
	sent := w.inbox[0]
	w.inbox, w.running, w.done = w.inbox[1:], false, false
	s.answer(w, sent, false)
}

func (s *simulation) answer(w *simWorker, sent simSent, withdrawn bool) {
	sent.withdrawn = withdrawn
	if w.unread = append(w.unread, sent); !w.unheard {
		s.hear(w)
	}
}

// hear has the host look at a worker's answers, all at once.
func (s *simulation) hear(w *simWorker) {
	if len(w.unread) == 0 {
		return
	}
	var answers []answer
	for _, sent := range w.unread { // those in a row that went well are one answer
		if n := len(answers); n > 0 && !sent.withdrawn && !answers[n-1].withdrawn {
			answers[n-1].calls++
			continue
		}
		answers = append(answers, answer{id: sent.id, calls: 1, withdrawn: sent.withdrawn})
	}
	heard := w.unread
	w.unread = nil
	var outcomes []outcome
	var err error
	s.update(func(st *state, now time.Time) { outcomes, err = st.answered(w.id, answers, len(heard), nil, now) })
	require.NoError(s.t, err)
	for _, o := range outcomes {
		for i := range o.calls {
			if o.task != nil {
				require.Same(s.t, heard[0].call, s.callsOf(action{task: o.task, from: int32(o.n + i), n: 1})[0], "the answer settles another call")
				o.task.resolve(o.n + i)
			}
			heard = heard[1:]
		}
	}
	require.Empty(s.t, heard, "an answer was lost")
}

// run is start, finish and respond.
func (s *simulation) run(w *simWorker) {
	s.start(w)
	s.finish(w)
	s.respond(w)
}

// die ends a worker's process.
func (s *simulation) die(w *simWorker) {
	s.hear(w)
	delete(s.workers, w.id)
	if !w.ready {
		s.update(func(st *state, now time.Time) { st.startFailed(w.id, errors.New("died"), mayPass, now) })
		return
	}
	s.update(func(st *state, now time.Time) { st.gone(w.id, ending{pid: int(w.id)}, now) })
}

func (s *simulation) advance(d time.Duration) {
	s.now = s.now.Add(d)
	if at := s.state.alarm; !at.IsZero() && !s.now.Before(at) {
		s.update(func(st *state, now time.Time) { st.tick(now) })
		if at := s.state.alarm; !at.IsZero() {
			require.True(s.t, at.After(s.now), "a tick asks for another one at once: the pool spins")
		}
	}
}

// settle drives everything to its end: workers start, run what they have, and leave or die when told to.
func (s *simulation) settle() {
	for range 10_000 + 4*s.state.stats.Submitted { // with MaxTasksPerChild of 1 each call takes several
		busy := false
		for _, id := range s.ids() {
			w := s.workers[id]
			switch {
			case w == nil:
			case w.killed, w.leaving && !w.frozen:
				s.die(w)
				busy = true
			case w.frozen && (!w.ready || w.claims == nil || w.running && (!w.done || !w.inbox[0].alone)): // for which nothing here has a bound: a call of a chunk seems to run until the next one does
				w.frozen = false
				busy = true
			case w.frozen:
				busy = busy || len(w.unread) > 0
				s.hear(w) // what it had said
			case !w.ready:
				s.becomeReady(w)
				busy = true
			case len(w.inbox) > 0 || len(w.unread) > 0:
				w.unheard = false
				s.run(w)
				s.hear(w)
				busy = true
			}
		}
		if !busy && s.state.alarm.IsZero() {
			return
		}
		s.advance(10 * time.Millisecond)
		if s.over {
			return
		}
	}
	s.t.Fatalf("the pool does not come to rest: %+v", s.state.snapshot())
}

// warm starts n workers, which have nothing to do then, and says what calls cost.
func (s *simulation) warm(n int, cost time.Duration) {
	for range n {
		s.submit()
	}
	s.settle()
	require.Len(s.t, s.state.spare, n)
	s.fn.cost, s.fn.timed = cost, true
}

func (s *simulation) only() *simWorker {
	require.Len(s.t, s.workers, 1)
	return s.workers[s.ids()[0]]
}

func TestStateStartsWorkersOnDemand(t *testing.T) {
	s := simulate(t, testPolicy(), true)
	assert.Empty(t, s.workers, "row P4: nothing starts before the first call")
	s.submit()
	s.becomeReady(s.only())
	s.run(s.only())
	s.submit()
	assert.Len(t, s.workers, 1, "row P5: the idle worker is used again")
	s.submit()
	s.submit()
	s.submit()
	assert.Len(t, s.workers, 2, "never more than MaxWorkers")
}

func TestStateSendsShortCallsAheadAndLongOnesOneByOne(t *testing.T) {
	for name, c := range map[string]struct {
		cost time.Duration
		want int
	}{
		"short": {10 * time.Microsecond, 100},
		"long":  {time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := testPolicy()
			p.maxWorkers = 1
			s := simulate(t, p, true)
			s.fn.measured(c.cost, 1)
			for range 200 {
				s.submit()
			}
			s.becomeReady(s.only())
			assert.Len(t, s.only().inbox, min(c.want, 16), "16 is the number of slots")
		})
	}
}

// A worker that is slow to start a call says nothing about how long that takes.
func TestStateLearnsNothingFromACallThatHasNotStarted(t *testing.T) {
	s := simulate(t, testPolicy(), true)
	s.fn.measured(time.Microsecond, 1)
	s.submit()
	w := s.only()
	s.becomeReady(w)
	for range 5 {
		s.submit()
	}
	require.Len(t, w.inbox, 6)
	s.advance(2 * time.Millisecond)
	require.Len(t, s.workers, 2, "a second worker is started for those behind it")
	assert.Equal(t, time.Microsecond, s.fn.cost)
	s.settle()
}

// A call that turns out to be long gives back those that were sent behind it, in their order.
func TestStateRecallsWhatWaitsBehindALongCall(t *testing.T) {
	p := testPolicy()
	s := simulate(t, p, true)
	s.fn.measured(time.Microsecond, 1)
	first := s.submit()
	w := s.only()
	s.becomeReady(w)
	s.start(w)
	var behind []*simCall
	for range 5 {
		behind = append(behind, s.submit())
	}
	require.Len(t, w.inbox, 6)
	s.advance(2 * time.Millisecond)
	for _, c := range behind {
		assert.Equal(t, futures.Pending, c.future.State())
	}
	require.Len(t, s.workers, 2, "a second worker is started for them")
	assert.Greater(t, s.fn.cost, 100*time.Microsecond, "it was learned that calls may be long")
	s.fn.cost = time.Microsecond
	other := s.workers[s.ids()[1]]
	s.becomeReady(other)
	require.Len(t, other.inbox, 5)
	for i, sent := range other.inbox {
		assert.Same(t, behind[i], sent.call)
	}
	s.settle()
	assert.Equal(t, 1, first.starts)
	for _, c := range behind {
		assert.Equal(t, 1, c.starts)
	}
}

func TestStateCancelIsExact(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	s.fn.measured(time.Microsecond, 1)
	first, second, third := s.submit(), s.submit(), s.submit()
	w := s.only()
	s.becomeReady(w)
	s.start(w)
	assert.False(t, first.future.Cancel(), "it runs")
	assert.True(t, second.future.Cancel(), "it is at the worker, and has not started")
	s.settle()
	assert.Equal(t, []int{1, 0, 1}, []int{first.starts, second.starts, third.starts})
}

func TestStateWarmsTheSuccessorOfARetiringWorker(t *testing.T) {
	p := testPolicy()
	p.maxTasks, p.maxWorkers = 2, 1
	s := simulate(t, p, true)
	s.submit()
	first := s.only()
	s.becomeReady(first)
	s.run(first)
	s.submit()
	assert.Len(t, s.workers, 2, "the successor starts while the last call runs")
	s.run(first)
	assert.True(t, first.leaving)
	waiting := s.submit()
	s.settle()
	assert.Equal(t, futures.Finished, waiting.future.State())
}

// A worker is weighed when it has run calls, and not more often than it may be. One that is too heavy keeps what it runs and nothing else.
func TestStateRetiresAWorkerThatHasGrown(t *testing.T) {
	p := testPolicy()
	p.maxRSS, p.maxWorkers, p.cores = 100, 1, 1
	s := simulate(t, p, true)
	s.warm(1, time.Microsecond)
	w := s.only()
	asked := w.weighed
	assert.Equal(t, 1, asked)
	s.advance(time.Hour)
	assert.Equal(t, asked, w.weighed, "it has run nothing since")
	for range 500 {
		s.submit()
		s.run(w)
		s.hear(w)
		s.advance(time.Millisecond)
	}
	assert.InDelta(t, 5, w.weighed-asked, 1, "in half a second")
	s.update(func(st *state, now time.Time) { st.weighed(w.id, 100, now) })
	assert.False(t, w.leaving, "it has no more than it may")

	runs, waits := s.submit(), s.submit()
	s.start(w)
	s.update(func(st *state, now time.Time) { st.weighed(w.id, 101, now) })
	assert.Len(t, s.workers, 2, "there is a successor")
	assert.False(t, w.leaving, "it still runs a call")
	s.settle()
	for _, c := range []*simCall{runs, waits} {
		assert.Equal(t, futures.Finished, c.future.State())
		assert.Equal(t, 1, c.starts)
	}
	assert.NotContains(t, s.workers, w.id, "it has stayed")
	assert.Equal(t, 1, s.state.stats.Outgrown)

	idle := s.only()
	s.update(func(st *state, now time.Time) { st.weighed(idle.id, 101, now) })
	assert.True(t, idle.leaving, "it had nothing to do")
	s.update(func(st *state, now time.Time) { st.weighed(w.id, 101, now) }) // of one that is gone
}

// Also if nothing waits for it yet.
func TestStateWarmsTheSuccessorOfAWorkerThatHasGrown(t *testing.T) {
	p := testPolicy()
	p.maxRSS, p.maxWorkers, p.cores = 100, 1, 1
	s := simulate(t, p, true)
	s.warm(1, time.Microsecond)
	w := s.only()
	s.submit()
	s.start(w)
	s.update(func(st *state, now time.Time) { st.weighed(w.id, 101, now) })
	assert.Len(t, s.workers, 2)
	s.settle()
}

// What waits behind the last call of a worker that has grown does not make it grow further.
func TestStateGivesWhatAGrownWorkerHasNotStartedToOthers(t *testing.T) {
	p := testPolicy()
	p.maxRSS, p.maxWorkers, p.cores = 100, 1, 1
	s := simulate(t, p, true)
	s.warm(1, time.Microsecond)
	w := s.only()
	s.submit()
	s.start(w)
	waits := s.submit()
	require.Len(t, w.inbox, 2)
	s.update(func(st *state, now time.Time) { st.weighed(w.id, 101, now) })
	s.finish(w)
	s.respond(w)
	s.start(w)
	assert.Zero(t, waits.starts)
	assert.True(t, w.leaving)
	s.settle()
	assert.Equal(t, 1, waits.starts)
	assert.NoError(t, waits.future.Err(t.Context()))
}

// A chunk whose size nobody chose is shared by those who have time, one of a chosen size goes to one worker as a whole.
func TestStateSharesAChunkUnlessItsSizeWasChosen(t *testing.T) {
	for name, c := range map[string]struct {
		whole bool
		want  []int
	}{
		"shared": {false, []int{4, 4}},
		"whole":  {true, []int{8, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			s := simulate(t, testPolicy(), true)
			s.chunks = true
			s.warm(2, 10*time.Microsecond)
			calls := s.submitChunk(8, &simChunk{whole: c.whole})
			var got []int
			for _, id := range slices.Backward(s.ids()) { // the last one used is the next one used
				got = append(got, len(s.workers[id].inbox))
			}
			assert.Equal(t, c.want, got)
			s.settle()
			for _, c := range calls {
				assert.Equal(t, 1, c.starts)
			}
		})
	}
}

// What the worker has not started of a chunk is taken back as a whole when another one has time for it, and its calls go on one by one.
func TestStateTakesBackTheRestOfAChunk(t *testing.T) {
	s := simulate(t, testPolicy(), true)
	s.chunks = true
	s.fn.measured(10*time.Microsecond, 1)
	calls := s.submitChunk(8, &simChunk{})
	first := s.workers[s.ids()[0]]
	s.becomeReady(first)
	require.Len(t, first.inbox, 8)
	s.run(first)
	s.start(first)
	s.advance(2 * time.Millisecond)
	s.fn.cost = 10 * time.Microsecond
	second := s.workers[s.ids()[1]]
	s.becomeReady(second)
	require.Len(t, second.inbox, 6)
	s.settle()
	for n, c := range calls {
		assert.True(t, c.settled)
		assert.Equal(t, 1, c.starts, "call %d", n)
	}
}

// A crash costs the call of a chunk that ran. Those before it are over, and those after it run elsewhere.
func TestStateACrashCostsOneCallOfAChunk(t *testing.T) {
	p := testPolicy()
	p.onCrash = ReplaceWorker
	s := simulate(t, p, true)
	s.chunks = true
	s.fn.measured(10*time.Microsecond, 1)
	calls := s.submitChunk(5, &simChunk{whole: true})
	w := s.workers[s.ids()[0]]
	s.becomeReady(w)
	s.run(w)
	s.start(w)
	s.die(w)
	s.settle()
	for n, c := range calls {
		assert.Equal(t, 1, c.starts, "call %d", n)
		if n == 1 {
			assert.ErrorAs(t, c.err, new(*WorkerCrashError))
		} else {
			assert.NoError(t, c.err, "call %d", n)
		}
	}
}

// The interruption of one call of a chunk outlives the answer to the one before it.
func TestStateAnInterruptionBelongsToOneCallOfAChunk(t *testing.T) {
	p := testPolicy()
	p.maxWorkers, p.onCrash = 1, ReplaceWorker
	s := simulate(t, p, true)
	s.chunks = true
	s.fn.measured(10*time.Microsecond, 1)
	c := &simChunk{whole: true}
	calls := s.submitChunk(3, c)
	w := s.only()
	s.becomeReady(w)
	w.unheard = true
	s.run(w)
	s.start(w) // the second, while the host has not heard of the first
	c.interrupt(context.Canceled)
	assert.Equal(t, 1, calls[1].told)
	s.hear(w)
	s.advance(p.killGrace - time.Millisecond)
	assert.False(t, w.killed)
	s.advance(time.Millisecond)
	assert.True(t, w.killed, "it does not listen")
	s.die(w)
	s.settle()
	assert.NoError(t, calls[0].err)
	assert.ErrorIs(t, calls[1].err, context.Canceled)
	assert.ErrorIs(t, calls[2].err, futures.ErrCancelled)
}

// A worker that has finished a call and then froze gives up what waits behind that, and does not keep the answer for ever.
func TestStateDoesNotWaitForAnAnswerThatIsKept(t *testing.T) {
	s := simulate(t, testPolicy(), true)
	s.warm(2, 10*time.Microsecond)
	other, frozen := s.workers[s.ids()[0]], s.workers[s.ids()[1]] // the last one used is the next one used
	calls := []*simCall{s.submit()}
	require.Len(t, frozen.inbox, 1)
	s.start(frozen)
	calls = append(calls, s.submit())
	s.run(other)
	for range 3 {
		calls = append(calls, s.submit())
	}
	s.finish(frozen)
	for range 4 {
		s.run(other)
	}
	s.advance(catchUp * s.state.policy.window)
	for range 4 {
		s.run(other)
	}
	for _, c := range calls[1:] {
		assert.Equal(t, futures.Finished, c.future.State(), "another worker has time for it")
	}
	s.advance(s.state.answerPatience(calls[0].task) - catchUp*s.state.policy.window - 1)
	assert.False(t, frozen.killed)
	s.advance(1)
	assert.True(t, frozen.killed)
}

// What a worker has finished cannot be taken back, however late this host is with the answers: nobody looks for that again and again.
func TestStateLeavesAloneWhatAWorkerHasFinished(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	s.warm(1, 10*time.Microsecond)
	w := s.only()
	for range 5 {
		s.submit()
	}
	require.Len(t, w.inbox, 5)
	w.unheard = true
	for range 4 {
		s.run(w)
	}
	s.advance(2 * catchUp * s.state.policy.window)
	assert.True(t, s.state.someLate, "the last one waits, and there is nobody else")
	s.run(w)
	s.submit()
	assert.False(t, s.state.someLate)
	w.unheard = false
	s.hear(w)
	s.settle()
}

// However a call is called off, a frozen worker that has not started it costs KillGrace and no more.
func TestStateShutdownWithCancelDoesNotWaitForAFrozenWorker(t *testing.T) {
	for _, chunks := range []bool{false, true} {
		p := testPolicy()
		p.maxWorkers = 1
		s := simulate(t, p, true)
		s.chunks = chunks
		s.warm(1, 10*time.Microsecond)
		if chunks {
			s.submitChunk(3, &simChunk{})
		} else {
			s.submit()
		}
		w := s.only()
		require.NotEmpty(t, w.inbox)
		s.update(func(st *state, now time.Time) { st.shutdown(true, now) })
		s.advance(p.killGrace)
		assert.True(t, w.killed)
		s.die(w)
		s.settle()
		assert.True(t, s.over)
	}
}

// What was answered is over, whatever the worker makes of the claims; and it may only answer what it has claimed.
func TestStateAWorkerThatLiesAboutItsChunk(t *testing.T) {
	p := testPolicy()
	p.onCrash = ReplaceWorker
	s := simulate(t, p, true)
	s.chunks = true
	s.fn.measured(10*time.Microsecond, 1)
	calls := s.submitChunk(6, &simChunk{whole: true})
	w := s.workers[s.ids()[0]]
	s.becomeReady(w)
	require.Len(t, w.inbox, 6)
	require.True(t, w.claims.Start(1))
	var outcomes []outcome
	var err error
	s.update(func(st *state, now time.Time) {
		outcomes, err = st.answered(w.id, []answer{{id: 1, calls: 2}}, 2, nil, now)
	})
	assert.Equal(t, []outcome{{task: outcomes[0].task, n: 0, calls: 1}}, outcomes, "the second was not claimed")
	require.ErrorIs(t, err, ipc.ErrProtocol)
	calls[0].chunk.Resolve(0)
	calls[0].starts++
	require.True(t, w.claims.Advance(1, 2))
	require.True(t, w.claims.Advance(1, 3))
	s.update(func(st *state, now time.Time) {
		_, err = st.answered(w.id, []answer{{id: 2, calls: 1}}, 1, nil, now)
	})
	require.NoError(t, err)
	calls[1].chunk.Resolve(1)
	calls[1].starts++
	w.claims.Queue(1) // as if nothing had happened
	s.die(w)
	s.settle()
	for n, c := range calls {
		assert.Equal(t, 1, c.starts, "call %d", n)
	}
}

// A worker that says that it has begun with all it was given keeps it from nobody for long.
func TestStateDoesNotLeaveCallsToAWorkerThatClaimsThemAll(t *testing.T) {
	for _, policy := range []CrashPolicy{ReplaceWorker, BreakPool} {
		p := testPolicy()
		p.maxWorkers, p.onCrash = 1, policy
		s := simulate(t, p, true)
		s.warm(1, 10*time.Microsecond)
		w := s.only()
		calls := []*simCall{s.submit(), s.submit(), s.submit(), s.submit()}
		require.Len(t, w.inbox, 4)
		for _, sent := range w.inbox {
			require.True(t, w.claims.Start(sent.id))
		}
		s.advance(p.window)
		s.advance(p.window)
		assert.True(t, w.killed)
		s.die(w)
		for _, c := range calls {
			require.ErrorIs(t, c.future.Err(t.Context()), ipc.ErrProtocol)
			assert.Equal(t, policy == BreakPool, errors.Is(c.future.Err(t.Context()), ErrBrokenProcessPool))
		}
	}
}

// A call that was cancelled in between is no hiding place.
func TestStateSeesPastACancelledCallWhatAWorkerClaims(t *testing.T) {
	p := testPolicy()
	p.maxWorkers, p.onCrash = 1, ReplaceWorker
	s := simulate(t, p, true)
	s.warm(1, 10*time.Microsecond)
	w := s.only()
	calls := []*simCall{s.submit(), s.submit(), s.submit()}
	require.Len(t, w.inbox, 3)
	require.True(t, w.claims.Start(w.inbox[0].id))
	require.True(t, calls[1].future.Cancel())
	require.True(t, w.claims.Start(w.inbox[2].id))
	s.advance(p.window)
	s.advance(p.window)
	assert.True(t, w.killed)
}

// Also if it does so when the host has looked, and nobody else has time: the next who has is told.
func TestStateLooksAgainForCallsThatAWorkerClaims(t *testing.T) {
	s := simulate(t, testPolicy(), true)
	s.warm(2, 10*time.Microsecond)
	other, w := s.workers[s.ids()[0]], s.workers[s.ids()[1]] // the last one used is the next one used
	first := s.submit()
	s.start(w)
	second := s.submit()
	require.Len(t, other.inbox, 1)
	s.start(other)
	calls := []*simCall{first}
	for len(w.inbox) < 3 {
		calls = append(calls, s.submit())
	}
	for range 3 {
		s.advance(s.state.policy.window)
	}
	require.True(t, s.state.worker(w.id).late)
	for _, sent := range w.inbox[1:] {
		require.True(t, w.claims.Start(sent.id))
	}
	s.advance(time.Minute)
	assert.False(t, w.killed, "nobody else would have time")
	s.run(other)
	require.NoError(t, second.future.Err(t.Context()))
	assert.True(t, w.killed)
}

// One that has begun with a call when the one before it was over, and not answered yet, does as it should.
func TestStateLeavesAWorkerAloneThatIsAheadOfItsHost(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	s.warm(1, 10*time.Microsecond)
	w := s.only()
	for range 3 {
		s.submit()
	}
	require.Len(t, w.inbox, 3)
	for _, sent := range w.inbox {
		require.True(t, w.claims.Start(sent.id))
		if sent.id != w.inbox[2].id {
			w.claims.Finish(sent.id)
		}
	}
	s.advance(p.window)
	s.advance(p.window)
	assert.False(t, w.killed)
}

// Tiny calls do not wake a process that would have to share a core, until there are enough of them or the others do not get on.
func TestStateKeepsShortCallsWithAsManyWorkersAsThereAreCores(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 4
	s := simulate(t, p, true)
	s.warm(4, 100*time.Microsecond)
	busy := func() (n int) {
		for _, w := range s.workers {
			if len(w.inbox) > 0 {
				n++
			}
		}
		return n
	}
	for range 12 { // each has more than it will do in half a window
		s.submit()
	}
	assert.Equal(t, 2, busy())
	for range 5 {
		s.submit()
	}
	assert.Equal(t, 2, busy(), "they wait for half a window at most")
	s.submit()
	assert.Equal(t, 3, busy(), "there is enough for another one")
	for range 3 {
		s.submit()
	}
	s.advance(2 * time.Millisecond) // and nobody has answered
	assert.Equal(t, 4, busy(), "nobody gets on")
	s.settle()
}

// The successor is there before the retiring worker has finished, and waits for it: MaxWorkers bounds what runs at once.
func TestStateASuccessorDoesNotRunBesideItsPredecessor(t *testing.T) {
	p := testPolicy()
	p.maxTasks, p.maxWorkers = 1, 1
	s := simulate(t, p, true)
	s.submit()
	first := s.only()
	s.becomeReady(first)
	s.start(first)
	s.submit()
	successor := s.workers[s.ids()[1]]
	s.becomeReady(successor)
	assert.Empty(t, successor.inbox)
	s.finish(first)
	s.respond(first)
	assert.Len(t, successor.inbox, 1)
}

func TestStateLetsIdleWorkersGo(t *testing.T) {
	p := testPolicy()
	p.idleTimeout = time.Minute
	s := simulate(t, p, true)
	s.submit()
	w := s.only()
	s.becomeReady(w)
	s.run(w)
	s.advance(59 * time.Second)
	assert.False(t, w.leaving)
	s.advance(time.Second)
	assert.True(t, w.leaving)
	s.die(w)
	assert.Nil(t, s.state.broken, "a worker that was let go did not crash")
}

func TestStateKillsAWorkerWhoseCallDoesNotEnd(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	call := s.submit(futures.Timeout(time.Second))
	w := s.only()
	s.becomeReady(w)
	s.start(w)
	next := s.submit()
	s.advance(time.Second)
	assert.Equal(t, 1, call.told)
	assert.False(t, w.killed, "it has KillGrace to give in")
	s.advance(time.Second)
	assert.True(t, w.killed)
	s.die(w)
	assert.ErrorIs(t, call.future.Err(t.Context()), futures.ErrTimeout)
	var crash *WorkerCrashError
	assert.ErrorAs(t, call.future.Err(t.Context()), &crash)
	s.settle()
	assert.NoError(t, next.future.Err(t.Context()), "nobody else notices")
}

// A worker that did not end a call is asked what it is doing. One that does not even say that is killed.
func TestStateAsksAWorkerWhatItIsDoingBeforeItKills(t *testing.T) {
	for name, frozen := range map[string]bool{"busy": false, "frozen": true} {
		t.Run(name, func(t *testing.T) {
			p := testPolicy()
			p.maxWorkers = 1
			s := simulate(t, p, true)
			call := s.submit(futures.Timeout(time.Second))
			w := s.only()
			s.becomeReady(w)
			s.start(w)
			w.frozen = frozen
			s.advance(time.Second)
			s.advance(p.killGrace)
			assert.True(t, w.asked)
			assert.Equal(t, !frozen, w.killed)
			if frozen {
				s.advance(dumpTime - 1)
				assert.False(t, w.killed)
				s.advance(1)
				assert.True(t, w.killed)
				assert.False(t, w.asked)
			}
			s.die(w)
			assert.ErrorIs(t, call.future.Err(t.Context()), futures.ErrTimeout)
		})
	}
}

// SIGQUIT ends a program that does not dump as well, and may be ignored by it.
func TestStateAsksNobodyWhoIsNotKnownToAnswer(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, false)
	s.submit(futures.Timeout(time.Second))
	w := s.only()
	s.becomeReady(w)
	s.start(w)
	s.advance(time.Second)
	s.advance(p.killGrace)
	assert.False(t, w.asked)
	assert.True(t, w.killed)
}

// A late kill must not hit the next call: the answer of the overdue one is on its way when patience ends.
func TestStateDoesNotKillAWorkerThatHasJustFinished(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	call := s.submit(futures.Timeout(time.Second))
	w := s.only()
	s.becomeReady(w)
	s.start(w)
	s.advance(time.Second)
	s.finish(w)
	s.advance(time.Second)
	assert.False(t, w.killed)
	s.respond(w)
	assert.NoError(t, call.future.Err(t.Context()))
}

func TestStateTimeoutCountsFromTheStartOfExecution(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	call := s.submit(futures.Timeout(time.Second))
	w := s.only()
	s.becomeReady(w)
	s.advance(1900 * time.Millisecond) // the worker has not got round to it
	assert.Zero(t, call.told)
	s.start(w)
	s.advance(time.Second)
	assert.Equal(t, 1, call.told)
}

// What an attempt has used up that was lost in a crash does not count.
func TestStateTimeoutCountsForEachAttempt(t *testing.T) {
	p := testPolicy()
	p.maxWorkers, p.onCrash = 1, ReplaceWorker
	s := simulate(t, p, true)
	call := s.submit(futures.Timeout(time.Second), futures.Retries(1))
	for range 2 {
		w := s.only()
		s.becomeReady(w)
		s.start(w)
		s.advance(900 * time.Millisecond)
		assert.Zero(t, call.told)
		if call.starts == 1 {
			s.die(w)
		}
	}
	assert.Equal(t, 2, call.starts)
	s.advance(100 * time.Millisecond)
	assert.Equal(t, 1, call.told)
}

// A worker that is frozen before it starts a call hurts nobody: its calls go elsewhere.
func TestStateTakesCallsBackFromAFrozenWorker(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	call := s.submit()
	frozen := s.only()
	s.becomeReady(frozen)
	s.advance(p.startPatience)
	assert.True(t, frozen.killed)
	s.die(frozen)
	s.settle()
	assert.NoError(t, call.future.Err(t.Context()))
	assert.Nil(t, s.state.broken, "it was the host that ended the worker")
}

func TestStateCrashBreaksThePool(t *testing.T) {
	s := simulate(t, testPolicy(), true)
	finished, running, other := s.submit(), s.submit(), s.submit()
	waiting := s.submit()
	cancelled := s.submit()
	cancelled.future.Cancel()
	for _, id := range s.ids() {
		s.becomeReady(s.workers[id])
	}
	first, second := s.workers[s.ids()[0]], s.workers[s.ids()[1]]
	s.run(first)
	s.start(first)
	s.start(second)
	s.finish(second) // its answer is in the pipe when the pool breaks
	s.die(first)
	assert.True(t, second.killed)
	s.respond(second)
	s.die(second)
	assert.NoError(t, finished.future.Err(t.Context()))
	for _, c := range []*simCall{running, other, waiting} {
		if c.future.State() == futures.Finished && c.future.Err(t.Context()) == nil {
			continue
		}
		assert.ErrorIs(t, c.future.Err(t.Context()), ErrBrokenProcessPool)
	}
	assert.Equal(t, futures.Cancelled, cancelled.future.State(), "row P41")
	assert.ErrorIs(t, s.submit().future.Err(t.Context()), ErrBrokenProcessPool)
	delivered := 0
	for _, c := range []*simCall{running, other} {
		if c.future.Err(t.Context()) == nil {
			delivered++
		}
	}
	assert.Equal(t, 1, delivered, "row P43: the result in the pipe is delivered")
}

func TestStateReplacesACrashedWorker(t *testing.T) {
	p := testPolicy()
	p.maxWorkers, p.onCrash = 1, ReplaceWorker
	s := simulate(t, p, true)
	s.fn.measured(time.Microsecond, 1)
	poison := s.submit()
	again := s.submit(futures.Retries(1))
	last := s.submit()
	s.becomeReady(s.only())
	s.start(s.only())
	s.die(s.only())
	var crash *WorkerCrashError
	require.ErrorAs(t, poison.future.Err(t.Context()), &crash)
	assert.NotErrorIs(t, crash, ErrBrokenProcessPool)
	assert.Equal(t, 1, crash.Attempt)
	s.becomeReady(s.only())
	s.start(s.only())
	s.die(s.only())
	s.settle()
	assert.NoError(t, again.future.Err(t.Context()), "it was declared to run again")
	assert.Equal(t, []int{1, 2, 1}, []int{poison.starts, again.starts, last.starts})
}

// A worker that has written down that it finished, and then says nothing, gets one more KillGrace and not for ever.
func TestStateKillsAWorkerThatNeverAnswers(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	call := s.submit(futures.Timeout(time.Second))
	w := s.only()
	s.becomeReady(w)
	s.start(w)
	s.advance(time.Second)
	s.finish(w)
	s.advance(time.Second)
	require.False(t, w.killed)
	s.advance(time.Second)
	require.True(t, w.killed)
	s.die(w)
	assert.ErrorIs(t, call.future.Err(t.Context()), futures.ErrTimeout)
}

// Two calls of one worker are interrupted together, the one that has finished last. Its answer must not call off the kill
// of the one that runs.
func TestStateKillsForEachInterruptedCall(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	s.fn.measured(time.Microsecond, 1)
	finished, running := s.submit(), s.submit()
	w := s.only()
	s.becomeReady(w)
	s.start(w)
	s.finish(w) // its answer is on its way
	require.True(t, w.claims.Start(w.inbox[1].id), "the worker goes on with the next one")
	running.starts++
	for _, c := range []*simCall{running, finished} {
		s.update(func(st *state, now time.Time) { st.interrupt(c.task, context.Canceled, now) })
	}
	s.respond(w)
	require.NoError(t, finished.future.Err(t.Context()))
	s.advance(p.killGrace)
	require.True(t, w.killed)
	s.die(w)
	assert.ErrorIs(t, running.future.Err(t.Context()), context.Canceled)
}

// Whoever cancels and whoever buries a worker may come in either order: what comes back unstarted is cancelled, not queued.
func TestStateTerminatedCallsDoNotComeBack(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	s.fn.measured(time.Microsecond, 1)
	for range 5 {
		s.submit()
	}
	w := s.only()
	s.becomeReady(w)
	s.start(w)
	s.state.terminate(syscall.SIGTERM, s.now) // what it decides is carried out only after the worker's death is known
	s.die(w)
	s.settle()
	assert.True(t, s.over)
	for _, c := range s.calls[1:] {
		assert.Equal(t, futures.Cancelled, c.future.State())
	}
}

// An interrupted call that waits to run again behind another one is taken back; the other one runs on.
func TestStateInterruptsARetryBeforeItStarts(t *testing.T) {
	p := testPolicy()
	p.maxWorkers, p.onCrash = 1, ReplaceWorker
	s := simulate(t, p, true)
	s.fn.measured(time.Microsecond, 1)
	retried := s.submit(futures.Retries(1))
	s.becomeReady(s.only())
	s.start(s.only())
	s.die(s.only())
	for len(s.workers) == 0 {
		s.advance(10 * time.Millisecond)
	}
	innocent := s.submit()
	w := s.only()
	s.becomeReady(w)
	require.Len(t, w.inbox, 2)
	require.Same(t, retried, w.inbox[0].call, "it is first in the queue again")
	s.run(w) // which leaves the innocent one; the retry ran
	require.NoError(t, retried.future.Err(t.Context()))

	again := s.submit(futures.Retries(1))
	s.start(w)
	s.update(func(st *state, now time.Time) { // as if it had been lost once before
		again.task.again = true
		again.task.call.Start()
	})
	s.update(func(st *state, now time.Time) { st.interrupt(again.task, context.Canceled, now) })
	assert.ErrorIs(t, again.future.Err(t.Context()), context.Canceled)
	s.advance(p.killGrace)
	assert.False(t, w.killed, "the innocent call runs there")
	s.finish(w)
	s.respond(w)
	s.settle()
	assert.NoError(t, innocent.future.Err(t.Context()))
	assert.Zero(t, again.starts)
}

// Workers that take calls and never start them are no crashes of anybody's making, but they are not tried for ever.
func TestStateBreaksWhenWorkersDoNotStartTheirCalls(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	call := s.submit()
	for range 10_000 {
		if s.state.broken != nil {
			break
		}
		for _, id := range s.ids() {
			switch w := s.workers[id]; {
			case w.killed:
				s.die(w)
			case !w.ready:
				s.becomeReady(w)
			}
		}
		s.advance(100 * time.Millisecond)
	}
	require.NotNil(t, s.state.broken)
	assert.ErrorIs(t, call.future.Err(t.Context()), ErrBrokenProcessPool)
	assert.ErrorIs(t, call.future.Err(t.Context()), errStuck)
}

func TestStateBreaksWhenWorkersKeepDying(t *testing.T) {
	p := testPolicy()
	p.maxWorkers, p.onCrash = 1, ReplaceWorker
	s := simulate(t, p, true)
	for range p.maxFutile + 3 {
		s.submit()
	}
	for deaths := 0; s.state.broken == nil; {
		require.LessOrEqual(t, deaths, p.maxFutile)
		for len(s.workers) == 0 {
			s.advance(10 * time.Millisecond) // starts are put off
		}
		s.becomeReady(s.only())
		s.start(s.only())
		s.die(s.only())
		deaths++
	}
	s.settle()
	for i, c := range s.calls {
		assert.Error(t, c.future.Err(t.Context()), "call %d", i)
	}
}

// Also if none of them has started, though others have before.
func TestStateBreaksWhenWorkersCannotBeStarted(t *testing.T) {
	p := testPolicy()
	p.maxWorkers, p.onCrash = 1, ReplaceWorker
	s := simulate(t, p, true)
	s.warm(1, time.Microsecond)
	s.submit()
	s.start(s.only())
	s.submit()
	s.die(s.only())
	for deaths := 1; s.state.broken == nil; deaths++ {
		require.Less(t, deaths, p.maxFutile)
		for len(s.workers) == 0 {
			s.advance(10 * time.Millisecond) // starts are put off
		}
		s.die(s.only())
	}
}

// The second death in a row puts the next start off, and each that follows for longer.
func TestStatePutsOffStartsWhenWorkersKeepDying(t *testing.T) {
	p := testPolicy()
	p.maxWorkers, p.onCrash, p.maxFutile = 1, ReplaceWorker, 12
	s := simulate(t, p, true)
	for range p.maxFutile {
		s.submit()
	}
	var waits []time.Duration
	for range p.maxFutile - 1 {
		s.becomeReady(s.only())
		s.start(s.only())
		s.die(s.only())
		began := s.now
		for len(s.workers) == 0 {
			require.False(t, s.state.alarm.IsZero(), "nobody will start one")
			s.advance(s.state.alarm.Sub(s.now))
		}
		waits = append(waits, s.now.Sub(began)/time.Millisecond)
	}
	assert.Equal(t, []time.Duration{0, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000}, waits)
}

func TestStateShutdownRunsWhatWasAccepted(t *testing.T) {
	s := simulate(t, testPolicy(), true)
	for range 10 {
		s.submit()
	}
	s.update(func(st *state, now time.Time) { st.shutdown(false, now) })
	assert.ErrorIs(t, s.submit().future.Err(t.Context()), futures.ErrShutdown)
	s.settle()
	assert.True(t, s.over)
	for _, c := range s.calls[:10] {
		assert.NoError(t, c.future.Err(t.Context()))
	}
}

func TestStateASecondShutdownMayCancel(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	running, waiting := s.submit(), s.submit()
	s.becomeReady(s.only())
	s.start(s.only())
	s.update(func(st *state, now time.Time) { st.shutdown(false, now) })
	s.update(func(st *state, now time.Time) { st.shutdown(true, now) })
	assert.Equal(t, futures.Cancelled, waiting.future.State())
	s.finish(s.only())
	s.respond(s.only())
	s.settle()
	assert.NoError(t, running.future.Err(t.Context()))
	assert.True(t, s.over)
}

func TestStateRefusesAWorkerThatLiesAboutItsCalls(t *testing.T) {
	p := testPolicy()
	p.maxWorkers = 1
	s := simulate(t, p, true)
	s.submit()
	w := s.only()
	s.becomeReady(w)
	_, err := s.state.answered(w.id, []answer{{id: 7, calls: 1}}, 1, nil, s.now)
	assert.ErrorIs(t, err, ipc.ErrProtocol, "a call that was never sent")
	_, err = s.state.answered(w.id, []answer{{id: w.inbox[0].id, calls: 1, withdrawn: true}}, 1, nil, s.now)
	assert.ErrorIs(t, err, ipc.ErrProtocol, "nobody withdrew it")
	w.claims.Withdraw(w.inbox[0].id) // scribbling
	_, err = s.state.answered(w.id, []answer{{id: w.inbox[0].id, calls: 1, withdrawn: true}}, 1, nil, s.now)
	assert.ErrorIs(t, err, ipc.ErrProtocol, "still nobody did")
	s.die(w)
	assert.Error(t, s.calls[0].future.Err(t.Context()), "and the call is not lost")
}

// Whoever has been told that a call is not its own any more cannot answer it, whatever it makes of the claims.
func TestStateRefusesAnAnswerToACallThatWasTakenBack(t *testing.T) {
	p := testPolicy()
	p.maxWorkers, p.cores = 1, 1
	t.Run("alone", func(t *testing.T) {
		s := simulate(t, p, true)
		s.warm(1, time.Microsecond)
		w := s.only()
		s.submit()
		cancelled := s.submit()
		s.run(w)
		require.True(t, cancelled.future.Cancel())
		_, err := s.state.answered(w.id, []answer{{id: w.inbox[0].id, calls: 1}}, 1, nil, s.now)
		assert.ErrorIs(t, err, ipc.ErrProtocol)
	})
	t.Run("of a chunk", func(t *testing.T) {
		s := simulate(t, p, true)
		s.chunks = true
		s.warm(1, time.Microsecond)
		w := s.only()
		s.submitChunk(6, &simChunk{whole: true})
		require.Len(t, w.inbox, 6)
		s.start(w)
		first := w.inbox[0].first
		s.update(func(st *state, now time.Time) { require.True(t, st.recall(st.worker(w.id), true, now)) })
		w.claims.Queue(first) // scribbling
		require.True(t, w.claims.Start(first))
		require.True(t, w.claims.Advance(first, first+1))
		outcomes, err := s.state.answered(w.id, []answer{{id: first, calls: 2}}, 2, nil, s.now)
		assert.ErrorIs(t, err, ipc.ErrProtocol)
		require.Len(t, outcomes, 1)
		assert.Equal(t, 1, outcomes[0].calls)
	})
}

// playOut lets script decide what happens next, and then brings everything to its end. Whatever the order of events, every
// call is settled, none is started more often than declared, and none after it was cancelled.
func playOut(t testing.TB, script []byte, p policy, claims, chunks bool) {
	s := simulate(t, p, claims)
	s.chunks = chunks
	declared := make(map[*simCall]int)
	var cancels []context.CancelFunc
	defer func() {
		for _, cancel := range cancels {
			cancel()
		}
	}()
	pick := func(b byte) *simWorker {
		ids := s.ids()
		if len(ids) == 0 {
			return nil
		}
		return s.workers[ids[int(b)%len(ids)]]
	}
	for i := 0; i+1 < len(script); i += 2 {
		op, arg := script[i]%20, script[i+1]
		w := pick(arg)
		switch op {
		case 0, 1:
			retries := int(arg % 3)
			declared[s.submit(futures.Retries(retries))] = retries
		case 2:
			declared[s.submit(futures.Timeout(time.Duration(arg)*time.Millisecond+1))] = 0
		case 3, 4:
			if w != nil {
				s.run(w)
			}
		case 5:
			if w != nil {
				s.start(w)
			}
		case 6:
			if w != nil {
				s.finish(w)
			}
		case 7:
			if w != nil {
				s.respond(w)
			}
		case 8:
			if w != nil && !w.ready && !w.killed {
				s.becomeReady(w)
			}
		case 9:
			if w != nil && (w.killed || w.leaving || arg > 128) {
				s.die(w)
			}
		case 10:
			if len(s.calls) > 0 {
				c := s.calls[int(arg)%len(s.calls)]
				if c.chunk != nil {
					c.chunk.cancel()
				} else {
					c.future.Cancel()
				}
			}
		case 11:
			if len(s.calls) > 0 {
				if c := s.calls[int(arg)%len(s.calls)]; c.chunk != nil {
					c.chunk.interrupt(context.Canceled)
				} else if c.task != nil && c.starts > 0 {
					s.update(func(st *state, now time.Time) { st.interrupt(c.task, context.Canceled, now) })
				}
			}
		case 12:
			s.advance(time.Duration(arg) * time.Millisecond)
		case 13:
			switch {
			case arg < 8:
				s.update(func(st *state, now time.Time) { st.shutdown(arg%2 == 0, now) })
			case arg < 12:
				s.update(func(st *state, now time.Time) { st.terminate(syscall.SIGTERM, now) })
			}
		case 14:
			if w != nil {
				w.unheard = !w.unheard
			}
		case 15:
			if w != nil {
				s.hear(w)
			}
		case 18:
			if w != nil && arg < 64 {
				w.frozen = true
			}
		case 19:
			if w != nil && p.maxRSS > 0 {
				s.update(func(st *state, now time.Time) { st.weighed(w.id, int64(arg), now) })
			}
		case 16, 17:
			c := &simChunk{whole: op == 16, retries: int(arg % 3)}
			if arg >= 192 {
				c.timeout = time.Duration(arg-191) * time.Millisecond
			}
			for _, call := range s.submitChunk(1+int(arg/3)%23, c) {
				declared[call] = c.retries
			}
		}
	}
	s.update(func(st *state, now time.Time) { st.shutdown(false, now) })
	s.settle()
	require.True(t, s.over, "the pool does not end: %+v", s.state.snapshot())
	for i, c := range s.calls {
		settled, cancelled, err := c.outcome()
		require.True(t, settled, "call %d is lost: %+v", i, c)
		require.LessOrEqual(t, c.starts, 1+declared[c], "call %d was started too often", i)
		if err == nil {
			require.Positive(t, c.starts, "call %d has a result and was never started", i)
		}
		if cancelled {
			require.Zero(t, c.starts, "call %d was cancelled and started", i)
		}
	}
}

func fuzzPolicy(b byte) (p policy, claims, chunks bool) {
	p = testPolicy()
	p.maxWorkers = 1 + int(b&3)
	if b&4 != 0 {
		p.onCrash = ReplaceWorker
	}
	if b&8 != 0 {
		p.maxTasks = 2
	}
	if b&16 != 0 {
		p.idleTimeout = 50 * time.Millisecond
	}
	if b&128 != 0 {
		p.maxRSS = 100
	}
	return p, b&32 == 0, b&64 == 0
}

func TestStateSettlesEveryCallInAnyOrderOfEvents(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, 2*(10+r.IntN(200)))
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		p, claims, chunks := fuzzPolicy(byte(r.Uint32()))
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playOut(t, script, p, claims, chunks) })
		if t.Failed() {
			return
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add(byte(0), []byte{0, 0, 8, 0, 3, 0})
	f.Add(byte(4), []byte{0, 0, 0, 1, 8, 0, 5, 0, 9, 255, 8, 0, 3, 0})
	f.Fuzz(func(t *testing.T, setup byte, script []byte) {
		p, claims, chunks := fuzzPolicy(setup)
		playOut(t, script[:min(len(script), 512)], p, claims, chunks)
	})
}
