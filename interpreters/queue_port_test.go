package interpreters

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// A guest is a port and who sits behind it.
type guest struct {
	*queuePort
	rung chan uint64
}

var lastGuest int64

// newGuest makes a guest that may use qs.
func newGuest(t *testing.T, qs ...*Queue) *guest {
	t.Helper()
	lastGuest++
	g := &guest{rung: make(chan uint64, 1000)}
	g.queuePort = newQueuePort(lastGuest, 0, func(ticket uint64) { g.rung <- ticket }, func(uint64) {})
	t.Cleanup(g.close)
	for _, q := range qs {
		require.NoError(t, g.admit(encoded(t, q)))
	}
	return g
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	b, err := ipc.AppendValue(nil, &v)
	require.NoError(t, err)
	return b
}

func (g *guest) mustPut(t *testing.T, q *Queue, v any, unbound ...UnboundItem) {
	t.Helper()
	var policy *UnboundItem
	for _, u := range unbound {
		policy = &u
	}
	require.NoError(t, g.put(q.id, encoded(t, v), policy, 0))
}

func (g *guest) mustGet(t *testing.T, q *Queue, ticket uint64) (v any) {
	t.Helper()
	b, _, err := g.get(q.id, ticket)
	require.NoError(t, err)
	require.NoError(t, ipc.DecodeValue(b, &v))
	return v
}

// line gets without success, and so lines up.
func (g *guest) line(t *testing.T, q *Queue, ticket uint64) {
	t.Helper()
	_, _, err := g.get(q.id, ticket)
	require.ErrorIs(t, err, ErrQueueEmpty)
}

func (g *guest) rings(t *testing.T, want ...uint64) {
	t.Helper()
	var got []uint64
	for len(g.rung) > 0 {
		got = append(got, <-g.rung)
	}
	assert.Equal(t, want, got)
}

func newTestQueue(t *testing.T, maxsize int, opts ...QueueOption) *Queue {
	q := CreateQueue(maxsize, opts...)
	t.Cleanup(func() { _ = q.Close() }) // the test may have closed it
	return q
}

func drain(t *testing.T, q *Queue) (got []any) {
	t.Helper()
	for !q.Empty() {
		var v any
		if err := q.GetNoWait(&v); err != nil {
			require.ErrorIs(t, err, ErrItemInterpreterDestroyed)
			v = "error"
		}
		got = append(got, v)
	}
	return got
}

// TestQueueOps.test_put_get_different_interpreters (Q2)
func TestGuestsAndThisProgramShareAQueue(t *testing.T) {
	in, out := newTestQueue(t, 7), newTestQueue(t, 0)
	g := newGuest(t, in, out)
	require.NoError(t, in.PutNoWait("to the guest"))
	size, maxsize, err := g.info(in.id)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 7}, []int{size, maxsize})
	assert.Equal(t, "to the guest", g.mustGet(t, in, 0))
	g.mustPut(t, out, "back")
	v, err := GetAs[string](t.Context(), out)
	require.NoError(t, err)
	assert.Equal(t, "back", v)
	assert.True(t, in.Empty())
	assert.True(t, out.Empty())
}

// TestQueueOps.test_put_cleared_with_subinterpreter (Q10)
func TestWhatBecomesOfTheItemsOfAGuestThatIsGone(t *testing.T) {
	for _, c := range []struct {
		policy UnboundItem
		want   []any
	}{
		{Unbound, []any{Unbound, "main", Unbound}},
		{UnboundError, []any{"error", "main", "error"}},
		{UnboundRemove, []any{"main"}},
	} {
		q := newTestQueue(t, 0, UnboundItems(c.policy))
		g := newGuest(t, q)
		g.mustPut(t, q, "taken before it goes")
		g.mustPut(t, q, "a")
		require.NoError(t, q.PutNoWait("main"))
		g.mustPut(t, q, "b")
		var v string
		require.NoError(t, q.GetNoWait(&v))
		assert.Equal(t, "taken before it goes", v)
		assert.Equal(t, 3, q.QSize())
		g.close()
		assert.Equal(t, len(c.want), q.QSize())
		assert.Equal(t, c.want, drain(t, q))
	}
}

// TestQueueOps.test_put_cleared_with_subinterpreter_mixed (Q11)
func TestThePolicyOfAnItemOutdoesTheQueues(t *testing.T) {
	q := newTestQueue(t, 0, UnboundItems(UnboundRemove))
	g := newGuest(t, q)
	g.mustPut(t, q, 1, Unbound)
	g.mustPut(t, q, 2, UnboundError)
	g.mustPut(t, q, 3)
	g.mustPut(t, q, 4, UnboundRemove)
	g.mustPut(t, q, 5, Unbound)
	require.NoError(t, q.PutNoWait("main", UnboundItems(UnboundRemove)))
	assert.Equal(t, 6, q.QSize())
	g.close()
	assert.Equal(t, 4, q.QSize())
	assert.Equal(t, []any{Unbound, "error", Unbound, "main"}, drain(t, q))
}

// TestQueueOps.test_put_cleared_with_subinterpreter_multiple (Q11)
func TestAnItemBelongsToWhoeverPutItLast(t *testing.T) {
	a, b := newTestQueue(t, 0, UnboundItems(UnboundRemove)), newTestQueue(t, 0, UnboundItems(UnboundRemove))
	g1, g2 := newGuest(t, a, b), newGuest(t, a, b)
	g1.mustPut(t, a, "from 1, moved by 2")
	g1.mustPut(t, a, "from 1, moved by main")
	g1.mustPut(t, a, "from 1")
	g2.mustPut(t, b, g2.mustGet(t, a, 0))
	var v any
	require.NoError(t, a.GetNoWait(&v))
	require.NoError(t, a.PutNoWait(v))
	g2.mustPut(t, a, "from 2")

	g1.close()
	assert.Equal(t, []int{2, 1}, []int{a.QSize(), b.QSize()})
	g2.close()
	assert.Equal(t, []any{"from 1, moved by main"}, drain(t, a))
	assert.Empty(t, drain(t, b))
}

func TestAnUnboundItemIsSeenByWhoeverCanHoldIt(t *testing.T) {
	q := newTestQueue(t, 0)
	g, heir := newGuest(t, q), newGuest(t, q)
	for range 3 {
		g.mustPut(t, q, 1)
	}
	g.mustPut(t, q, 1, UnboundError)
	g.close()
	var n int
	assert.ErrorIs(t, q.GetNoWait(&n), ErrItemInterpreterDestroyed)
	u := UnboundRemove
	require.NoError(t, q.GetNoWait(&u))
	assert.Equal(t, Unbound, u)
	_, unbound, err := heir.get(q.id, 0)
	assert.ErrorIs(t, err, ErrItemInterpreterDestroyed)
	assert.True(t, unbound)
	_, unbound, err = heir.get(q.id, 0)
	assert.ErrorIs(t, err, ErrItemInterpreterDestroyed)
	assert.False(t, unbound)
	assert.True(t, q.Empty())
}

func TestItemsThatAreRemovedMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTestQueue(t, 2, UnboundItems(UnboundRemove))
		g := newGuest(t, q)
		g.mustPut(t, q, 1)
		g.mustPut(t, q, 2)
		done := make(chan error)
		for i := range 3 {
			go func() { done <- q.Put(t.Context(), "waited") }()
			synctest.Wait()
			assert.Equal(t, 2, q.QSize(), "%d wait", i)
		}
		g.close()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		assert.Equal(t, 2, q.QSize())
		assert.Equal(t, []any{"waited", "waited", "waited"}, drain(t, q))
		require.NoError(t, <-done)
	})
}

func TestATicketRingsWhenItIsWorthALook(t *testing.T) {
	q := newTestQueue(t, 1)
	g := newGuest(t, q)
	g.line(t, q, 5)
	g.line(t, q, 5)
	g.rings(t)
	require.NoError(t, q.PutNoWait("item"))
	g.rings(t, 5)
	assert.Equal(t, "item", g.mustGet(t, q, 5))

	require.NoError(t, q.PutNoWait("first"))
	g.rings(t)
	require.ErrorIs(t, g.put(q.id, encoded(t, "second"), nil, 6), ErrQueueFull)
	g.rings(t)
	assert.Equal(t, "first", g.mustGet(t, q, 0))
	g.rings(t, 6)
	require.NoError(t, g.put(q.id, encoded(t, "second"), nil, 6))
	assert.Equal(t, []any{"second"}, drain(t, q))
	g.rings(t)
	assert.Empty(t, g.waiters)
}

func TestAnItemRingsOneTicket(t *testing.T) {
	q := newTestQueue(t, 0)
	g, h := newGuest(t, q), newGuest(t, q)
	g.line(t, q, 1)
	h.line(t, q, 1)
	g.line(t, q, 2)
	require.NoError(t, q.PutNoWait("a"))
	g.rings(t, 1)
	h.rings(t)
	require.NoError(t, q.PutNoWait("b"))
	g.rings(t)
	h.rings(t, 1)
	assert.Equal(t, "a", h.mustGet(t, q, 1), "whoever looks first gets the first")
	assert.Equal(t, "b", g.mustGet(t, q, 1))
	assert.Len(t, g.waiters, 1)
}

func TestALookInVainKeepsItsPlace(t *testing.T) {
	q := newTestQueue(t, 0)
	g := newGuest(t, q)
	g.line(t, q, 1)
	g.line(t, q, 2)
	require.NoError(t, q.PutNoWait("a"))
	g.rings(t, 1)
	assert.Equal(t, []any{"a"}, drain(t, q), "somebody who does not wait was quicker")
	g.line(t, q, 1)
	require.NoError(t, q.PutNoWait("b"))
	g.rings(t, 1)
	assert.Equal(t, "b", g.mustGet(t, q, 1))
}

// waiting starts a Get and returns when it waits.
func waiting(t *testing.T, q *Queue) <-chan any {
	got := make(chan any, 1)
	go func() {
		v, err := GetAs[any](t.Context(), q)
		if err != nil {
			v = err
		}
		got <- v
	}()
	synctest.Wait()
	return got
}

func TestATicketThatIsCancelledAfterItRangLosesNothing(t *testing.T) {
	for name, end := range map[string]func(*guest, *Queue){
		"cancelled":             func(g *guest, _ *Queue) { g.cancel(1) },
		"dead":                  func(g *guest, _ *Queue) { g.close() },
		"asleep":                func(g *guest, _ *Queue) { g.sleep() },
		"waiting elsewhere now": func(g *guest, _ *Queue) { g.line(t, newTestQueueFor(t, g), 1) },
	} {
		synctest.Test(t, func(t *testing.T) {
			q := newTestQueue(t, 0)
			g := newGuest(t, q)
			g.line(t, q, 1)
			behind := waiting(t, q)
			require.NoError(t, q.PutNoWait("item"))
			g.rings(t, 1)
			synctest.Wait()
			assert.Empty(t, behind, "the first in line comes first")
			end(g, q)
			assert.Equal(t, "item", <-behind, name)
		})
	}
}

func newTestQueueFor(t *testing.T, g *guest) *Queue {
	q := newTestQueue(t, 0)
	g.grant(q)
	return q
}

func TestRoomThatWasOfferedIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTestQueue(t, 1)
		g := newGuest(t, q)
		require.NoError(t, q.PutNoWait("first"))
		require.ErrorIs(t, g.put(q.id, encoded(t, "guest"), nil, 9), ErrQueueFull)
		done := make(chan error, 1)
		go func() { done <- q.Put(t.Context(), "main") }()
		synctest.Wait()
		var v any
		require.NoError(t, q.GetNoWait(&v))
		g.rings(t, 9)
		assert.True(t, q.Empty(), "the room is the guest's")
		g.cancel(9)
		require.NoError(t, <-done)
		assert.Equal(t, []any{"main"}, drain(t, q))
	})
}

func TestASlowGuestHoldsUpOneItemOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTestQueue(t, 0)
		g := newGuest(t, q)
		g.line(t, q, 1)
		behind := waiting(t, q)
		require.NoError(t, q.PutNoWait("a"))
		require.NoError(t, q.PutNoWait("b"))
		assert.Equal(t, "a", <-behind)
		assert.Equal(t, "b", g.mustGet(t, q, 1))
	})
}

func TestTheTicketsOfASleeperWaitForIt(t *testing.T) {
	q, full := newTestQueue(t, 0), newTestQueue(t, 1)
	require.NoError(t, full.PutNoWait("first"))
	g, other := newGuest(t, q, full), newGuest(t, q)
	g.line(t, q, 1)
	g.line(t, q, 2)
	require.ErrorIs(t, g.put(full.id, encoded(t, "second"), nil, 3), ErrQueueFull)
	g.sleep()
	g.sleep() // after a call that was too short to look
	other.line(t, q, 1)
	require.NoError(t, q.PutNoWait("a"))
	require.NoError(t, q.PutNoWait("b"))
	assert.Equal(t, []any{"first"}, drain(t, full))
	g.rings(t)
	other.rings(t, 1)

	g.wake()
	g.sleep()
	g.wake()
	g.rings(t, 1, 2, 3)
	require.NoError(t, g.put(full.id, encoded(t, "second"), nil, 3))
	assert.Equal(t, "a", g.mustGet(t, q, 2))
	g.cancel(1)
	assert.Equal(t, "b", other.mustGet(t, q, 1))
	other.line(t, q, 1)
	g.line(t, q, 4)
	assert.Zero(t, q.getters.told)
	require.NoError(t, q.PutNoWait("c"))
	other.rings(t, 1)
	g.rings(t)

	g.sleep()
	g.wake()
	g.rings(t, 4)
	assert.Equal(t, "c", other.mustGet(t, q, 1))
	g.line(t, q, 4)
	require.NoError(t, q.PutNoWait("d"))
	g.rings(t, 4)
	g.close()
	assert.Zero(t, q.getters.told)
	assert.Zero(t, q.getters.waiting.Len())
	assert.Equal(t, []any{"d"}, drain(t, q))
}

func TestCloseTellsTheTickets(t *testing.T) {
	q := newTestQueue(t, 1)
	g := newGuest(t, q)
	g.line(t, q, 1)
	g.line(t, q, 2)
	require.NoError(t, q.Close())
	g.rings(t, 1, 2)
	_, _, err := g.get(q.id, 1)
	assert.ErrorIs(t, err, ErrQueueNotFound)
	g.cancel(2)
	assert.Empty(t, g.waiters)
	assert.Empty(t, g.granted)
	assert.ErrorIs(t, g.put(q.id, encoded(t, 1), nil, 3), ErrQueueNotFound)
	assert.Empty(t, g.waiters)
}

func TestAGuestReachesNoQueueThatItWasNotGiven(t *testing.T) {
	mine, secret := newTestQueue(t, 0), newTestQueue(t, 0)
	g := newGuest(t, mine)
	require.NoError(t, secret.PutNoWait("secret"))
	_, _, err := g.get(secret.id, 1)
	assert.ErrorIs(t, err, ErrQueueNotFound)
	assert.ErrorIs(t, g.put(secret.id, encoded(t, 1), nil, 0), ErrQueueNotFound)
	_, _, err = g.info(secret.id)
	assert.ErrorIs(t, err, ErrQueueNotFound)

	forged := ipc.AppendQueue([]byte{0x91}, secret.id)
	for _, err := range []error{g.check(forged), g.put(mine.id, forged, nil, 1)} {
		assert.ErrorIs(t, err, ErrQueueNotFound)
		assert.ErrorIs(t, err, futures.ErrNotShareable)
	}
	hidden := append([]byte{0xc7, 8, ipc.ExtQueue}, ipc.AppendQueue(nil, secret.id)[2:]...)
	assert.ErrorIs(t, g.check(hidden), futures.ErrNotShareable, "in another form")
	assert.True(t, mine.Empty())

	require.NoError(t, mine.PutNoWait([]any{secret}))
	_, _, err = g.get(mine.id, 0)
	require.NoError(t, err)
	assert.Equal(t, "secret", g.mustGet(t, secret, 0), "now it was given it")
	require.NoError(t, g.check(forged))
	assert.Empty(t, g.waiters)
}

func TestAGuestPutsValuesOnly(t *testing.T) {
	q := newTestQueue(t, 0)
	g := newGuest(t, q)
	for name, garbage := range map[string][]byte{
		"nothing": {}, "two values": {1, 2}, "cut": {0x92, 1}, "no value": {0xc1}, "endless": {0xdd, 0xff, 0xff, 0xff, 0xff},
	} {
		assert.ErrorIs(t, g.put(q.id, garbage, nil, 1), futures.ErrNotShareable, name)
	}
	assert.True(t, q.Empty())
	view := encoded(t, "text")
	require.NoError(t, g.put(q.id, view, nil, 0))
	clear(view)
	assert.Equal(t, []any{"text"}, drain(t, q), "it was copied")
}

func TestWhatAGuestPutsIsBounded(t *testing.T) {
	q, other := newTestQueue(t, 0), newTestQueue(t, 0)
	g := newGuest(t, q, other)
	g.limit = 100 + 2*itemOverhead
	big := encoded(t, make([]byte, 38)) // 40 bytes
	require.NoError(t, g.put(q.id, big, nil, 0))
	require.NoError(t, g.put(other.id, big, nil, 0))
	err := g.put(q.id, big, nil, 1)
	require.ErrorIs(t, err, errQueueLimit)
	assert.NotErrorIs(t, err, ErrQueueFull, "there is nothing to wait for")
	assert.Empty(t, g.waiters)
	g.mustGet(t, other, 0)
	require.NoError(t, g.put(q.id, big, nil, 0))
	require.NoError(t, q.Close())
	assert.Zero(t, g.queued.Load())
	require.NoError(t, g.put(other.id, big, nil, 0))
	g.close()
	assert.Zero(t, g.queued.Load())
	assert.Equal(t, []any{Unbound}, drain(t, other))
}

// A guest may look and put as often as it likes, and never listen to what it is told.
func TestWhatAGuestDoesNotHearIsBounded(t *testing.T) {
	q := newTestQueue(t, 0)
	e := events{wake: make(chan struct{}, 1)}
	p := newQueuePort(1, 0, func(ticket uint64) { e.post(abi.EventTicket, ticket) }, func(ticket uint64) { e.retract(abi.EventTicket, ticket) })
	defer p.close()
	p.grant(q)
	item := encoded(t, 1)
	for round := range uint64(1000) {
		for _, ticket := range []uint64{2 + round, 1} { // always another, and the same again and again
			_, _, err := p.get(q.id, ticket)
			require.ErrorIs(t, err, ErrQueueEmpty)
		}
		require.NoError(t, p.put(q.id, item, nil, 0))
		require.True(t, e.any(), "one is told")
		_, _, err := p.get(q.id, 0)
		require.NoError(t, err)
		p.cancel(2 + round)
		if round%2 == 1 {
			p.cancel(1)
		}
	}
	assert.LessOrEqual(t, len(e.pending), 1)
}

func TestAnItemCountsWhatItTakesInTheHost(t *testing.T) {
	q := newTestQueue(t, 0)
	g := newGuest(t, q)
	g.limit = 1 << 20
	least := encoded(t, nil) // a byte
	puts := int64(0)
	for ; g.put(q.id, least, nil, 0) == nil; puts++ {
	}
	assert.LessOrEqual(t, puts*int64(unsafe.Sizeof(item{})), g.limit)
}

func TestTheTicketsOfAGuestAreBounded(t *testing.T) {
	q := newTestQueue(t, 0)
	g := newGuest(t, q)
	for ticket := range uint64(maxTickets) {
		g.line(t, q, ticket+1)
	}
	_, _, err := g.get(q.id, maxTickets+1)
	assert.ErrorIs(t, err, errQueueLimit)
	_, _, err = g.get(q.id, 0)
	assert.ErrorIs(t, err, ErrQueueEmpty)
	g.line(t, q, 5)
	g.cancel(7)
	g.line(t, q, maxTickets+1)
	g.close()
	assert.Zero(t, q.getters.waiting.Len())
}

func TestNothingIsLeftOfAPort(t *testing.T) {
	q := newTestQueue(t, 0)
	g := newGuest(t, q)
	g.line(t, q, 1)
	g.close()
	assert.Empty(t, q.ports)
	assert.Zero(t, q.getters.waiting.Len())
	assert.Zero(t, q.getters.told)
	require.NoError(t, g.admit(encoded(t, q)))
	assert.Empty(t, q.ports, "it is closed")
	g.close()
}

// serve takes items as a guest does, with several tickets at once, and gives up now and then. It returns when the queue is closed.
func (g *guest) serve(t *testing.T, q *Queue, got chan<- int) {
	const tickets = 3
	look := func(ticket uint64) (open bool) {
		b, _, err := g.get(q.id, ticket)
		if err != nil {
			if errors.Is(err, ErrQueueEmpty) {
				return true
			}
			assert.ErrorIs(t, err, ErrQueueNotFound)
			return false
		}
		var v int
		assert.NoError(t, ipc.DecodeValue(b, &v))
		got <- v
		return true
	}
	lineUp := func(ticket uint64) (open bool) {
		for open = look(ticket); open && g.waiters[ticket] == nil; open = look(ticket) {
		}
		return open
	}
	for ticket := range uint64(tickets) {
		if !lineUp(1 + ticket) {
			return
		}
	}
	for ticket := range g.rung {
		switch rand.IntN(5) {
		case 0:
			g.cancel(ticket)
		case 1:
			g.sleep()
			g.wake()
		}
		if !lineUp(ticket) {
			return
		}
	}
}

// Guests and goroutines of this program put and get, and give up now and then; every item arrives once.
func TestNoItemIsLostBetweenGuests(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const putters, each = 4, 1000 // two of them guests
	for _, maxsize := range []int{1, 4} {
		q := newTestQueue(t, maxsize)
		got := make(chan int, putters*each+1)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		var putting, getting sync.WaitGroup
		for range 2 {
			g := newGuest(t, q)
			getting.Go(func() { g.serve(t, q, got) })
			getting.Go(func() {
				for patience := time.Duration(1); ; patience++ {
					impatient, cancel := context.WithTimeout(ctx, patience*time.Microsecond)
					v, err := GetAs[int](impatient, q)
					cancel()
					if err == nil {
						got <- v
					} else if errors.Is(err, ErrQueueNotFound) || ctx.Err() != nil {
						return
					}
				}
			})
		}
		for p := range putters {
			g := newGuest(t, q)
			putting.Go(func() {
				for i := range each {
					if p%2 == 0 {
						assert.NoError(t, q.Put(ctx, p*each+i))
						continue
					}
					ticket := uint64(i%3 + 1)
					for g.put(q.id, encoded(t, p*each+i), nil, ticket) != nil {
						if i%5 == 0 {
							g.cancel(ticket)
							continue
						}
						select {
						case <-g.rung: // perhaps of a ticket that was cancelled: then it looks in vain
						case <-ctx.Done():
							return
						}
					}
				}
			})
		}
		putting.Wait()
		count := make([]int, putters*each)
		for range count {
			select {
			case v := <-got:
				count[v]++
			case <-ctx.Done():
				t.Fatal("items are missing")
			}
		}
		assert.Zero(t, q.putters.told+q.putters.waiting.Len())
		require.NoError(t, q.Close())
		getting.Wait()
		require.Empty(t, got)
		for v, n := range count {
			require.Equal(t, 1, n, "item %d", v)
		}
	}
}
