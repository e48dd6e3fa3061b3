package ipc_test

import (
	"sync"
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

func TestClaimStatesHaveNames(t *testing.T) {
	for s, name := range map[ipc.ClaimState]string{
		ipc.ClaimQueued: "queued", ipc.ClaimStarted: "started", ipc.ClaimWithdrawn: "withdrawn", ipc.ClaimFinished: "finished",
		ipc.ClaimUnknown: "unknown", 9: "ClaimState(9)",
	} {
		assert.Equal(t, name, s.String())
	}
}
