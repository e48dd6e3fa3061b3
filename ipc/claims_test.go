package ipc_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// table lays a table over words, as host and worker do over what they share.
func table(t *testing.T, words []uint64) *ipc.Claims {
	t.Helper()
	c, err := ipc.NewClaims(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 8*len(words)))
	require.NoError(t, err)
	return c
}

func TestTablesThatAreNone(t *testing.T) {
	words := make([]uint64, 4)
	mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 32)
	for _, bad := range [][]byte{nil, {}, mem[:4], mem[:12], mem[:24], mem[4:12], mem[1:9]} {
		_, err := ipc.NewClaims(bad)
		require.Error(t, err, "%d bytes", len(bad))
	}
	for _, size := range []int{8, 16, 32} {
		c, err := ipc.NewClaims(mem[:size])
		require.NoError(t, err)
		assert.Equal(t, size/8, c.Slots())
	}
}

// TestEveryStepFromEveryState is the whole of the state machine.
func TestEveryStepFromEveryState(t *testing.T) {
	const id = 5
	prepare := map[ipc.ClaimState]func(*ipc.Claims){
		ipc.ClaimQueued:    func(c *ipc.Claims) { c.Queue(id) },
		ipc.ClaimStarted:   func(c *ipc.Claims) { c.Queue(id); c.Start(id) },
		ipc.ClaimWithdrawn: func(c *ipc.Claims) { c.Queue(id); c.Withdraw(id) },
		ipc.ClaimFinished:  func(c *ipc.Claims) { c.Queue(id); c.Start(id); c.Finish(id) },
		ipc.ClaimUnknown:   func(c *ipc.Claims) { c.Queue(id + 8) },
	}
	finish := func(c *ipc.Claims, id uint64) bool { c.Finish(id); return false }
	for name, step := range map[string]struct {
		do    func(*ipc.Claims, uint64) bool
		leads map[ipc.ClaimState]ipc.ClaimState // where it is allowed
		wins  bool
	}{
		"Start":    {(*ipc.Claims).Start, map[ipc.ClaimState]ipc.ClaimState{ipc.ClaimQueued: ipc.ClaimStarted}, true},
		"Withdraw": {(*ipc.Claims).Withdraw, map[ipc.ClaimState]ipc.ClaimState{ipc.ClaimQueued: ipc.ClaimWithdrawn}, true},
		"Finish":   {finish, map[ipc.ClaimState]ipc.ClaimState{ipc.ClaimStarted: ipc.ClaimFinished}, false},
	} {
		for from, setUp := range prepare {
			words := make([]uint64, 8)
			c := table(t, words)
			setUp(c)
			require.Equal(t, from, c.State(id))
			before := words[id]
			got := step.do(c, id)
			to, allowed := step.leads[from]
			assert.Equal(t, allowed && step.wins, got, "%s from %v", name, from)
			if !allowed {
				assert.Equal(t, before, words[id], "%s from %v changes nothing", name, from)
				continue
			}
			assert.Equal(t, to, c.State(id), "%s from %v", name, from)
		}
	}
}

// The layout is that of PROTOCOL.md: a worker in another language reads it.
func TestLayout(t *testing.T) {
	words := make([]uint64, 4)
	c := table(t, words)
	c.Queue(1)
	c.Queue(6)
	c.Start(6)
	c.Queue(3)
	c.Withdraw(3)
	c.Queue(4)
	c.Start(4)
	c.Finish(4)
	assert.Equal(t, []uint64{4<<2 | 3, 1 << 2, 6<<2 | 1, 3<<2 | 2}, words)
}

func TestALateStepNeverTouchesALaterCall(t *testing.T) {
	words := make([]uint64, 2)
	c := table(t, words)
	for _, late := range []uint64{1, 3, 5} {
		for later := late + 2; later < 12; later += 2 {
			c.Queue(later)
			before := words[1]
			require.False(t, c.Start(late))
			require.False(t, c.Withdraw(late))
			c.Finish(late)
			require.Equal(t, ipc.ClaimUnknown, c.State(late))
			require.Equal(t, before, words[1])
			require.True(t, c.Start(later))
			before = words[1]
			require.False(t, c.Withdraw(late))
			c.Finish(late)
			require.Equal(t, before, words[1])
			require.Equal(t, ipc.ClaimStarted, c.State(later))
		}
	}
}

func TestAWorkerThatScribbles(t *testing.T) {
	words := make([]uint64, 2)
	c := table(t, words)
	c.Queue(1)
	for _, scribble := range []uint64{0, ^uint64(0), 3<<2 | 1, 1 << 63} {
		words[1] = scribble
		assert.Equal(t, ipc.ClaimUnknown, c.State(1), "%x", scribble)
		assert.False(t, c.Withdraw(1), "it may have run: it is not taken back")
	}
}

// Host and worker race for every call, each with a table of its own over the same memory. Exactly one wins.
func TestStartAndWithdrawRace(t *testing.T) {
	const slots, calls = 4, 100_000
	words := make([]uint64, slots)
	host, worker := table(t, words), table(t, words)
	started, withdrawn := make([]bool, calls+1), make([]bool, calls+1)
	sent := make(chan uint64, slots)
	answered := make(chan uint64, slots)
	var wg sync.WaitGroup
	wg.Go(func() {
		for id := range sent {
			if worker.Start(id) {
				started[id] = true
				worker.Finish(id)
			}
			answered <- id
		}
		close(answered)
	})
	for range slots {
		answered <- 0 // room
	}
	for id := uint64(1); id <= calls; id++ {
		<-answered
		host.Queue(id)
		sent <- id
		withdrawn[id] = host.Withdraw(id)
	}
	close(sent)
	wg.Wait()
	won := map[bool]int{}
	for id := 1; id <= calls; id++ {
		require.NotEqual(t, started[id], withdrawn[id], "call %d has exactly one owner", id)
		won[started[id]]++
	}
	t.Logf("the worker won %d, the host %d", won[true], won[false])
	for id := uint64(calls - slots + 1); id <= calls; id++ {
		want := ipc.ClaimWithdrawn
		if started[id] {
			want = ipc.ClaimFinished
		}
		require.Equal(t, want, host.State(id))
	}
}

// TestEveryChunkStepFromEveryState is the whole of what the slot of a chunk goes through: of the calls 5 to 8, whose slot is that of 5.
// A word that no chunk's slot may hold is a scribble of the worker, or speaks of another call; no step changes it.
func TestEveryChunkStepFromEveryState(t *testing.T) {
	const first, last, none = 5, 8, 9
	type to struct {
		step  string
		state uint64 // the word afterwards
	}
	queued, started := func(id uint64) uint64 { return id << 2 }, func(id uint64) uint64 { return id<<2 | 1 }
	withdrawn, finished := func(id uint64) uint64 { return id<<2 | 2 }, func(id uint64) uint64 { return id<<2 | 3 }
	for from, c := range map[uint64]struct {
		leads     []to   // each other step of the worker changes nothing
		withdraws uint64 // the first call that WithdrawRest takes back
		running   uint64 // 0 for none
	}{
		queued(5):    {[]to{{"Start", started(5)}}, 5, 0},
		started(5):   {[]to{{"Advance to 6", started(6)}, {"Finish", finished(5)}}, 6, 5},
		started(6):   {[]to{{"Advance to 7", started(7)}}, 7, 6},
		started(7):   {[]to{{"Advance to 8", started(8)}}, 8, 7},
		started(8):   {nil, none, 8},
		withdrawn(6): {nil, none, 6},
		withdrawn(7): {nil, none, 7},

		0:                  {nil, none, 0},
		queued(6):          {nil, none, 0},
		queued(8):          {nil, none, 0},
		started(3):         {nil, none, 0},
		started(9):         {nil, none, 0},
		withdrawn(4):       {nil, none, 0},
		withdrawn(9):       {nil, none, 0},
		queued(13):         {nil, none, 0},
		started(13):        {nil, none, 0},
		withdrawn(13):      {nil, none, 0},
		finished(13):       {nil, none, 0},
		^uint64(0):         {nil, none, 0},
		1 << 63:            {nil, none, 0},
		started(5) | 1<<63: {nil, none, 0},
	} {
		steps := map[string]func(*ipc.Claims) bool{
			"Start":  func(c *ipc.Claims) bool { return c.Start(first) },
			"Finish": func(c *ipc.Claims) bool { c.Finish(first); return true },
		}
		for id := uint64(first + 1); id <= last; id++ {
			steps[fmt.Sprint("Advance to ", id)] = func(c *ipc.Claims) bool { return c.Advance(first, id) }
		}
		for name, step := range steps {
			words := make([]uint64, 8)
			words[first] = from
			got, want := step(table(t, words)), from
			for _, l := range c.leads {
				if l.step == name {
					want = l.state
				}
			}
			if name != "Finish" {
				assert.Equal(t, want != from, got, "%s from %d", name, from)
			}
			assert.Equal(t, []uint64{0, 0, 0, 0, 0, want, 0, 0}, words, "%s from %d", name, from)
		}

		words := make([]uint64, 8)
		words[first] = from
		host := table(t, words)
		running, ok := host.Running(first, last)
		assert.Equal(t, c.running, running, "Running at %d", from)
		assert.Equal(t, c.running != 0, ok, "Running at %d", from)
		assert.Equal(t, c.withdraws, host.WithdrawRest(first, last), "WithdrawRest from %d", from)
		want := from
		if c.withdraws != none {
			want = withdrawn(from >> 2)
		}
		assert.Equal(t, []uint64{0, 0, 0, 0, 0, want, 0, 0}, words, "WithdrawRest from %d", from)
		assert.EqualValues(t, none, host.WithdrawRest(first, last), "once from %d", from)
		for id := uint64(first); id <= last && c.withdraws != none; id++ {
			assert.False(t, host.Start(first), "withdrawn from %d", from)
			assert.False(t, host.Advance(first, id), "withdrawn from %d", from)
		}
	}
}

// The layout is that of PROTOCOL.md: the slot of the first call says how far the worker has come, and no other is touched.
func TestLayoutOfAChunk(t *testing.T) {
	words := []uint64{100, 101, 0, 103}
	c := table(t, words)
	c.Queue(6)
	assert.Equal(t, []uint64{100, 101, 6 << 2, 103}, words)
	require.True(t, c.Start(6))
	assert.Equal(t, []uint64{100, 101, 6<<2 | 1, 103}, words)
	require.True(t, c.Advance(6, 7))
	require.True(t, c.Advance(6, 8))
	assert.Equal(t, []uint64{100, 101, 8<<2 | 1, 103}, words)
	require.EqualValues(t, 9, c.WithdrawRest(6, 9))
	assert.Equal(t, []uint64{100, 101, 8<<2 | 2, 103}, words)
	require.False(t, c.Advance(6, 9))
	assert.Equal(t, []uint64{100, 101, 8<<2 | 2, 103}, words)
}

func TestALateStepOfAChunkNeverTouchesALaterCall(t *testing.T) {
	const slots = 4
	words := make([]uint64, slots)
	c := table(t, words)
	for calls := uint64(2); calls <= slots; calls++ {
		for later := uint64(5); later <= 13; later += slots { // a call, or a chunk of up to all slots
			late := func(what string) {
				before := words[1]
				require.False(t, c.Start(1), what)
				for id := uint64(2); id <= calls; id++ {
					require.False(t, c.Advance(1, id), what)
				}
				require.Equal(t, calls+1, c.WithdrawRest(1, calls), what)
				_, ok := c.Running(1, calls)
				require.False(t, ok, what)
				require.Equal(t, before, words[1], what)
			}
			c.Queue(later)
			late("queued")
			require.True(t, c.Start(later))
			late("started")
			for id := later + 1; id < later+slots; id++ {
				require.True(t, c.Advance(later, id))
				late("gone on")
			}
			c.Queue(later)
			require.Equal(t, later, c.WithdrawRest(later, later+slots-1))
			late("withdrawn")
			c.Queue(later)
			c.Start(later)
			require.Equal(t, later+1, c.WithdrawRest(later, later+slots-1))
			late("the rest withdrawn")
			c.Queue(later)
			c.Start(later)
			c.Finish(later)
			late("finished")
		}
	}
}

// Whatever a worker writes into the slot, the host makes calls of this chunk of it, and takes none back that it says it has started.
func TestAWorkerThatScribblesOverAChunk(t *testing.T) {
	const first, last = 9, 12
	words := make([]uint64, 8)
	host := table(t, words)
	scribbles := []uint64{^uint64(0), 1 << 63, 1 << 62, first<<2 | 1 | 1<<63, ^uint64(0) - 3}
	for w := range uint64(20 << 2) {
		scribbles = append(scribbles, w)
	}
	for _, scribble := range scribbles {
		words[first%8] = scribble
		id, ok := host.Running(first, last)
		if ok {
			require.Equal(t, scribble>>2, id)
			require.GreaterOrEqual(t, id, uint64(first), "%x", scribble)
			require.LessOrEqual(t, id, uint64(last), "%x", scribble)
		} else {
			require.Zero(t, id, "%x", scribble)
		}
		from := host.WithdrawRest(first, last)
		require.GreaterOrEqual(t, from, uint64(first), "%x", scribble)
		require.LessOrEqual(t, from, uint64(last+1), "%x", scribble)
		if ok {
			require.Greater(t, from, id, "%x", scribble)
		}
		if from > last {
			require.Equal(t, scribble, words[first%8], "nothing was taken back")
		}
	}
}

// The host takes back the rest of every chunk, at some moment, while the worker goes on from call to call. What it gets is the end of the
// chunk, what the worker runs is all before that, and each call has one of them. Both look out for each other without going to sleep: who
// has to be woken comes too late to meet anybody.
func TestAdvanceAndWithdrawRestRace(t *testing.T) {
	const slots, most = 32, 16
	type chunk struct{ first, last uint64 }
	chunks := 40_000
	if raceDetector {
		chunks = 5_000 // it takes twenty times as long, and they meet more often
	}
	all, from := make([]chunk, chunks), make([]uint64, chunks)
	next := uint64(1)
	for i := range all {
		all[i] = chunk{next, next + uint64(i*i%(most-1)) + 1}
		next = all[i].last + 1
	}
	until := func(so func() bool) {
		for looks := 1; !so(); looks++ {
			if looks%100 == 0 {
				runtime.Gosched() // there may be one processor for both
			}
		}
	}
	words := make([]uint64, slots)
	host, worker := table(t, words), table(t, words)
	ran := make([]bool, next)
	var sent, answered atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for i, c := range all {
			until(func() bool { return sent.Load() > int64(i) })
			for id, claimed := c.first, worker.Start(c.first); claimed; claimed = id <= c.last && worker.Advance(c.first, id) {
				ran[id] = true
				id++
				if i%8 == 1 {
					runtime.Gosched() // a call that takes a moment; the others are as close upon each other as they can be
				}
			}
			answered.Add(1)
		}
	})
	for i, c := range all {
		until(func() bool { return answered.Load() > int64(i-slots/most) }) // there is room
		host.Queue(c.first)
		sent.Add(1)
		if i%4 > 0 { // the others are taken back at once
			target := c.first + uint64(i%int(c.last-c.first+1))
			until(func() bool { id, ok := host.Running(c.first, c.last); return ok && id >= target })
		}
		id, ok := host.Running(c.first, c.last)
		from[i] = host.WithdrawRest(c.first, c.last)
		if ok && id >= from[i] {
			t.Errorf("call %d has started, and all from %d on are taken back", id, from[i])
		}
	}
	wg.Wait()
	won := map[string]int{}
	for i, c := range all {
		require.LessOrEqual(t, c.first, from[i])
		require.LessOrEqual(t, from[i], c.last+1)
		for id := c.first; id <= c.last; id++ {
			require.Equal(t, id < from[i], ran[id], "call %d of %d to %d, withdrawn from %d on", id, c.first, c.last, from[i])
		}
		switch from[i] {
		case c.first:
			won["whole"]++
		case c.last + 1:
			won["none"]++
		default:
			won["part"]++
		}
	}
	t.Logf("of the chunks the host won %v", won)
	require.NotZero(t, won["part"], "they never met")
}

func TestClaimStatesHaveNames(t *testing.T) {
	for s, name := range map[ipc.ClaimState]string{
		ipc.ClaimQueued: "queued", ipc.ClaimStarted: "started", ipc.ClaimWithdrawn: "withdrawn", ipc.ClaimFinished: "finished",
		ipc.ClaimUnknown: "unknown", 9: "ClaimState(9)",
	} {
		assert.Equal(t, name, s.String())
	}
}
