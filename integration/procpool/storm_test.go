//go:build linux

package procpool_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// Storms of calls that take some nanoseconds each, so that thousands are on their way to a worker at once, while workers are killed
// at random. Every call leaves a mark on a board that outlives its process: what the host says of a call is held against it.

// seedVar has storms take another course.
const seedVar = "PROCPOOL_TEST_SEED"

// dice are the same in each run.
func dice(t *testing.T, salt uint64) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv(seedVar), "20240607"), 10, 64)
	require.NoError(t, err)
	return rand.New(rand.NewPCG(seed, salt))
}

// A reply is what the host says of the call n.
type reply struct {
	n, got int
	err    error
}

// A road is a way in which calls from one number up to another, without that, reach a pool.
type road struct {
	name string
	take func(s *storm, ctx context.Context, fn futures.Func[int, int], from, to int, opts []futures.CallOption) iter.Seq[reply]
}

var roads = []road{
	{"Submit", submitRoad},
	{"Map", mapRoad()},
	{"Map Chunksize 64", mapRoad(futures.Chunksize(64))},
	{"MapUnordered", unorderedRoad()},
	{"MapUnordered Chunksize 64", unorderedRoad(futures.Chunksize(64))},
}

// submitRoad submits the calls one by one, some thousand ahead of the oldest reply, and cancels one in seven.
func submitRoad(s *storm, ctx context.Context, fn futures.Func[int, int], from, to int, opts []futures.CallOption) iter.Seq[reply] {
	const ahead = 4000
	return func(yield func(reply) bool) {
		random := dice(s.t, uint64(from)+1)
		flying := make([]*futures.Future[int], 0, to-from)
		for n := from; n < to+ahead; n++ {
			if n < to {
				f := futures.Submit(ctx, s.pool, fn, n, opts...)
				flying = append(flying, f)
				if n%3 == 0 {
					f.OnDone(func(*futures.Future[int]) { s.told[n].Add(1) })
				}
				if n%7 == 6 {
					flying[len(flying)-1-random.IntN(min(len(flying), 2*ahead))].Cancel()
				}
			}
			if at := n - ahead; at >= from && at < to {
				got, err := flying[at-from].Result(s.wait)
				if !yield(reply{at, got, err}) {
					return
				}
			}
		}
	}
}

func mapRoad(more ...futures.MapOption) func(*storm, context.Context, futures.Func[int, int], int, int, []futures.CallOption) iter.Seq[reply] {
	return func(s *storm, ctx context.Context, fn futures.Func[int, int], from, to int, opts []futures.CallOption) iter.Seq[reply] {
		return func(yield func(reply) bool) {
			n := from
			for got, err := range futures.Map(ctx, s.pool, fn, numbers(from, to), mapOptions(opts, more)...) {
				if !yield(reply{n, got, err}) {
					return
				}
				n++
			}
		}
	}
}

func unorderedRoad(more ...futures.MapOption) func(*storm, context.Context, futures.Func[int, int], int, int, []futures.CallOption) iter.Seq[reply] {
	return func(s *storm, ctx context.Context, fn futures.Func[int, int], from, to int, opts []futures.CallOption) iter.Seq[reply] {
		return func(yield func(reply) bool) {
			for item, err := range futures.MapUnordered(ctx, s.pool, fn, numbers(from, to), mapOptions(opts, more)...) {
				assert.Equal(s.t, from+item.Index, item.In)
				if !yield(reply{item.In, item.Out, err}) {
					return
				}
			}
		}
	}
}

func mapOptions(opts []futures.CallOption, more []futures.MapOption) []futures.MapOption {
	all := slices.Clone(more)
	for _, o := range opts {
		all = append(all, o)
	}
	return all
}

func numbers(from, to int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := from; n < to; n++ {
			if !yield(n) {
				return
			}
		}
	}
}

// A storm is a pool whose workers are killed, and what is known of it.
type storm struct {
	t     *testing.T
	wait  context.Context // bounds every wait
	pool  *procpool.ProcessPoolExecutor
	board *board
	told  []atomic.Uint32 // how often a callback said that a call is done; every third call has one

	mu      sync.Mutex
	replies []reply
	said    []uint8 // how many replies each call has
	busiest int     // the most calls that were at workers at once

	killer *killer
}

func newStorm(t *testing.T, calls int, config procpool.Config) *storm {
	t.Helper()
	b := newBoard(t, calls)
	config.Env = b.env()
	config.KillGrace = patience // so that nobody is taken for frozen on a slow machine
	config.MaxCrashes = 1 << 20
	s := &storm{
		t: t, wait: bounded(t), pool: newPool(t, config), board: b,
		told: make([]atomic.Uint32, calls), replies: make([]reply, calls), said: make([]uint8, calls),
	}
	_, err := futures.Submit(s.wait, s.pool, pid, none{}).Result(s.wait) // a pool that has never had a worker breaks if the first one dies
	require.NoError(t, err)
	s.killer = &killer{s: s, random: dice(t, 0), dead: make(map[int]string)}
	return s
}

// note takes in a reply.
func (s *storm) note(r reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[r.n] = r
	s.said[r.n]++
}

// rage sends the calls down a road, a quarter under the name of each Func, two Funcs at a time, and kills about so many
// workers meanwhile.
func (s *storm) rage(ctx context.Context, r road, kills int, opts ...futures.CallOption) {
	orders := make(chan struct{}, kills+1)
	var killing, calling sync.WaitGroup
	killing.Go(func() {
		for range orders {
			s.killer.kill()
		}
	})
	quarter := len(s.replies) / len(tallies)
	for half := range 2 {
		calling.Go(func() {
			random := dice(s.t, uint64(half)+100)
			every := len(s.replies) / kills
			next := random.IntN(min(every, len(s.replies)/8))
			for part := half; part < len(tallies); part += 2 {
				for reply := range r.take(s, ctx, tallies[part], part*quarter, (part+1)*quarter, opts) {
					s.note(reply)
					if next--; next < 0 {
						next = every/2 + random.IntN(every)
						select {
						case orders <- struct{}{}:
						default: // there are enough
						}
					}
				}
			}
		})
	}
	calling.Wait()
	close(orders)
	killing.Wait()
}

// killer kills workers and remembers them.
type killer struct {
	s      *storm
	random *rand.Rand
	dead   map[int]string // pids, and how they were killed
}

// kill kills a worker in some way, one that is just being started or dying perhaps.
func (k *killer) kill() {
	stats := k.s.pool.Stats()
	k.s.busiest = max(k.s.busiest, stats.Sent)
	if len(stats.PIDs) == 0 {
		return
	}
	slices.Sort(stats.PIDs)
	pid := stats.PIDs[k.random.IntN(len(stats.PIDs))]
	send := func(sig syscall.Signal) {
		if unix.Kill(pid, sig) == nil && k.dead[pid] == "" { // it may have gone
			k.dead[pid] = sig.String()
		}
	}
	switch k.random.IntN(6) {
	case 0:
		send(unix.SIGSTOP)
		for until := k.random.IntN(200); until > 0 && !remains.Stopped(pid); until-- {
			continue // some of them die before they have stopped
		}
		k.s.pool.Stats() // the pool goes on meanwhile
		send(unix.SIGKILL)
	case 1:
		send(unix.SIGSEGV)
	case 2:
		send(unix.SIGTERM)
	default:
		send(unix.SIGKILL)
	}
}

// victims are all workers that were killed, by others or by themselves.
func (s *storm) victims() map[int]string {
	all := maps.Clone(s.killer.dead)
	for _, pid := range s.board.suicides() {
		all[pid] = cmp.Or(all[pid], "suicide")
	}
	return all
}

// settle waits until the pool knows of all that died, and closes it.
func (s *storm) settle() {
	s.t.Helper()
	for pid := range s.killer.dead {
		assert.True(s.t, remains.AwaitEnd(s.t, pid, patience), "a worker that was killed lives")
	}
	remains.Until(s.t, "the pool knows of every end", func() bool {
		for _, pid := range s.pool.Stats().PIDs {
			if s.killer.dead[pid] != "" {
				return false
			}
		}
		return true
	})
	mustClose(s.t, s.pool)
}

// judge holds every reply against the marks. It counts what became of the calls.
func (s *storm) judge(retries int) (counts map[string]int) {
	s.t.Helper()
	counts = make(map[string]int)
	victims := s.victims()
	cost := make(map[int]int) // calls of each worker that were lost for good
	quarter := len(s.replies) / len(tallies)
	again := 0
	for n, r := range s.replies {
		m := &s.board.calls[n]
		begun, ended := int(m.begun.Load()), int(m.ended.Load())
		if s.said[n] != 1 || n%3 == 0 && s.told[n].Load() > 1 || begun > 1+retries || ended > begun {
			assert.Failf(s.t, "a call had more or less than it should", "call %d: %d replies, %d callbacks, begun %d times, ended %d times: %+v",
				n, s.said[n], s.told[n].Load(), begun, ended, r)
			continue
		}
		again += max(0, begun-1)
		var crash *procpool.WorkerCrashError
		switch {
		case r.err == nil:
			counts["finished"]++
			if r.got != tallied(n) || ended < 1 {
				assert.Failf(s.t, "a wrong result", "call %d: %d, begun %d times, ended %d times", n, r.got, begun, ended)
			}
		case errors.Is(r.err, futures.ErrCancelled):
			counts["cancelled"]++
			if begun != 0 {
				assert.Failf(s.t, "a call was cancelled and has run", "call %d", n)
			}
		case errors.As(r.err, &crash):
			counts["crashed"]++
			cost[crash.PID]++
			assert.Contains(s.t, victims, crash.PID, "call %d: %v", n, r.err)
			assert.Equal(s.t, fmt.Sprintf("test.Tally%d", n/quarter), crash.Func, "call %d: another Func is blamed: %v", n, r.err)
			assert.Equal(s.t, 1+retries, crash.Attempt, "call %d: %v", n, r.err)
			assert.NotErrorIs(s.t, r.err, procpool.ErrBrokenProcessPool, "call %d", n)
		default:
			assert.NoError(s.t, r.err, "call %d", n)
		}
	}
	for pid, n := range cost {
		assert.Equal(s.t, 1, n, "calls that one worker's end cost (%d, %s)", pid, victims[pid])
	}
	stats := s.pool.Stats()
	assert.LessOrEqual(s.t, again, stats.Retried, "calls ran again that were not lost")
	assert.LessOrEqual(s.t, counts["crashed"]+stats.Retried, len(victims), "the end of a worker cost more than one call")
	assert.Zero(s.t, stats.Queued+stats.Sent+stats.Workers+stats.Leaving)
	return counts
}

// weather is what a storm is like.
type weather struct {
	name     string
	calls    int
	kills    int
	retries  int
	maxTasks int
	doomed   int // calls that kill their own process
}

// volume is how many calls a storm may have: the race detector makes all of it slower by far.
func volume(calls int) int {
	if raceDetector {
		return calls / 20
	}
	return calls
}

// Workers of a pool that replaces them are killed: each end costs the call that ran, if one did, and nobody else anything. A call that may run
// again does so as often as it may, and not at all if nothing happened to it.
func TestStorm(t *testing.T) {
	for _, w := range []weather{
		{name: "plain", calls: volume(200_000), kills: 12},
		{name: "doomed", calls: volume(40_000), kills: 4, doomed: 8},
		{name: "retries", calls: volume(100_000), kills: 6, doomed: 4, retries: 2},
		{name: "recycling", calls: max(1000, volume(4000)), kills: 8, maxTasks: 50},
		{name: "recycling and retries", calls: max(1000, volume(4000)), kills: 8, maxTasks: 50, doomed: 2, retries: 1},
	} {
		for _, r := range roads {
			t.Run(w.name+" "+r.name, func(t *testing.T) {
				clean(t)
				s := newStorm(t, w.calls, procpool.Config{MaxWorkers: 2, OnCrash: procpool.ReplaceWorker, MaxTasksPerChild: w.maxTasks})
				random := dice(t, 7)
				for range w.doomed {
					s.board.calls[random.IntN(w.calls)].doomed.Store(1)
				}
				var opts []futures.CallOption
				if w.retries > 0 {
					opts = append(opts, futures.Retries(w.retries))
				}
				s.rage(context.Background(), r, w.kills, opts...)
				s.settle()
				counts := s.judge(w.retries)
				stats, victims := s.pool.Stats(), s.victims()
				if w.maxTasks > 0 {
					assert.LessOrEqual(t, stats.Crashed, len(victims), "some were killed on their way out")
					tasks := make(map[uint32]int)
					for n := range s.board.calls {
						tasks[s.board.calls[n].pid.Load()]++
					}
					delete(tasks, 0)
					assert.LessOrEqual(t, slices.Max(slices.Collect(maps.Values(tasks))), w.maxTasks)
					assert.Positive(t, stats.Recycled)
				} else {
					assert.Equal(t, len(victims), stats.Crashed, "%v", victims)
					assert.Greater(t, s.busiest, 20, "calls were not sent ahead: the test says nothing")
					assert.Greater(t, w.calls/len(victims), volume(1000), "too few calls for each worker's end: the test says nothing")
				}
				for n := range s.board.calls {
					if s.board.calls[n].doomed.Load() != 0 {
						assert.Error(t, s.replies[n].err, "a call that kills its process has a result")
					}
				}
				assert.NotEmpty(t, victims, "nobody was killed: the test says nothing")
				assert.Positive(t, counts["finished"])
				t.Logf("%v, %d killed, at most %d at workers, %+v", counts, len(victims), s.busiest, stats)
			})
		}
	}
}

// In a pool that breaks, a worker is killed: whatever was not finished fails, and every error tells of this worker.
func TestStormBreaksAPool(t *testing.T) {
	const rounds = 4
	calls := volume(100_000)
	for _, r := range roads {
		broken := 0
		for round := range rounds {
			t.Run(fmt.Sprint(r.name, " ", round), func(t *testing.T) {
				clean(t)
				s := newStorm(t, calls, procpool.Config{MaxWorkers: 2})
				s.killer.random = dice(t, uint64(round))
				var opts []futures.CallOption
				if round%2 == 1 {
					opts = append(opts, futures.Retries(3)) // which must make no difference
				}
				s.rage(context.Background(), r, 1, opts...)
				s.settle()
				counts := make(map[string]int)
				errs := make(map[error]bool)
				blamed := make(map[string]bool)
				replied := 0
				for n, r := range s.replies {
					m := &s.board.calls[n]
					begun, ended := m.begun.Load(), m.ended.Load()
					replied += int(s.said[n])
					if begun > 1 || s.said[n] > 1 || n%3 == 0 && s.told[n].Load() > 1 {
						assert.Failf(t, "a call had more than it should", "call %d: %d replies, %d callbacks, begun %d times", n, s.said[n], s.told[n].Load(), begun)
					}
					var crash *procpool.WorkerCrashError
					switch {
					case s.said[n] == 0: // a Map that is refused takes no more inputs
						counts["not taken"]++
						if begun != 0 {
							assert.Failf(t, "a call that was never submitted has run", "call %d", n)
						}
					case r.err == nil:
						counts["finished"]++
						if r.got != tallied(n) || ended != 1 {
							assert.Failf(t, "a wrong result", "call %d: %d, begun %d times, ended %d times", n, r.got, begun, ended)
						}
					case errors.Is(r.err, futures.ErrCancelled):
						counts["cancelled"]++
						assert.Zero(t, begun, "call %d was cancelled and has run", n)
					case errors.As(r.err, &crash):
						counts["broken"]++
						errs[r.err] = true
						blamed[crash.Func] = true
						if s.killer.dead[crash.PID] == "" || !errors.Is(r.err, procpool.ErrBrokenProcessPool) {
							assert.Failf(t, "a wrong error", "call %d: %v", n, r.err)
						}
					default:
						assert.NoError(t, r.err, "call %d", n)
					}
				}
				assert.Len(t, errs, counts["broken"], "calls share an error")
				stats := s.pool.Stats()
				if counts["broken"] > 0 {
					broken++
					assert.Len(t, blamed, 1, "more than one Func is blamed for one end")
				}
				assert.LessOrEqual(t, stats.Crashed, len(s.killer.dead)) // one that is just being started does not break a pool that has another
				assert.Zero(t, stats.Retried)
				assert.Zero(t, stats.Queued+stats.Sent+stats.Workers+stats.Leaving)
				t.Logf("%v, blamed: %v, %v, %+v", counts, blamed, s.killer.dead, stats)
			})
		}
		assert.GreaterOrEqual(t, broken, rounds/2, "the kills came too late: the test says nothing")
	}
}

// Whoever breaks out of a Map in the middle can rely on it that nothing more of it starts, be workers killed or not.
func TestStormAndBreakingOut(t *testing.T) {
	const workers, rounds = 2, 24
	each := volume(40_000)
	for _, r := range roads[1:] {
		t.Run(r.name, func(t *testing.T) {
			clean(t)
			s := newStorm(t, rounds*each, procpool.Config{MaxWorkers: workers, OnCrash: procpool.ReplaceWorker})
			random := dice(t, 11)
			unstarted := 0
			for round := range rounds {
				from := round * each
				after := random.IntN(each / 8)
				for r := range r.take(s, context.Background(), tallies[round%len(tallies)], from, from+each, nil) {
					s.note(r)
					if after--; after == 0 && round%3 == 0 {
						s.killer.kill()
					}
					if after < 0 {
						break
					}
				}
				atBreak := s.board.ran(from, from+each)
				remains.Until(t, "nothing is on its way", func() bool { st := s.pool.Stats(); return st.Sent+st.Queued == 0 })
				assert.LessOrEqual(t, s.board.ran(from, from+each)-atBreak, workers, "calls started after the loop was left")
				unstarted += each - s.board.ran(from, from+each)
			}
			s.settle()
			victims, lost := s.victims(), 0
			for n, r := range s.replies {
				m := &s.board.calls[n]
				if begun := m.begun.Load(); begun > 1 || s.said[n] > 1 || s.said[n] == 1 && r.err == nil && (r.got != tallied(n) || m.ended.Load() != 1) {
					assert.Failf(t, "a call had more or less than it should", "call %d: %d replies, begun %d times: %+v", n, s.said[n], begun, r)
				}
				var crash *procpool.WorkerCrashError
				if r.err != nil && assert.ErrorAs(t, r.err, &crash, "call %d", n) {
					lost++
				}
			}
			assert.LessOrEqual(t, lost, len(victims))
			assert.Equal(t, len(victims), s.pool.Stats().Crashed)
			assert.Positive(t, unstarted)
			t.Logf("%d of %d calls never ran, %d killed, %d lost", unstarted, len(s.replies), len(victims), lost)
		})
	}
}
