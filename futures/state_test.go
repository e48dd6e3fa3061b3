package futures

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rows W12 and C8: whoever stops waiting leaves nothing behind
func TestWaitersAreForgotten(t *testing.T) {
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("late"))
	ready := NewPromise[int]()
	require.NoError(t, ready.Resolve(1))
	p := NewPromise[int]()
	fs := []*Future[int]{p.Future(), ready.Future(), p.Future()}
	other := newInbox() // of somebody who goes on waiting
	p.future.await(waiter{other, 0})

	_, _, err := Wait(over, fs, AllCompleted)
	require.Error(t, err)
	assert.Len(t, p.future.audience.waiters, 1, "after a Wait that timed out")
	_, _, err = Wait(t.Context(), fs, FirstCompleted)
	require.NoError(t, err)
	assert.Len(t, p.future.audience.waiters, 1, "after a Wait that was satisfied by another future")
	for range AsCompleted(over, fs) {
	}
	assert.Len(t, p.future.audience.waiters, 1, "after an AsCompleted that timed out")
	for range AsCompleted(t.Context(), fs) {
		break
	}
	assert.Len(t, p.future.audience.waiters, 1, "after a loop that broke off")
	assert.Panics(t, func() {
		for range AsCompleted(t.Context(), fs) {
			panic("in the loop's body")
		}
	})
	assert.Len(t, p.future.audience.waiters, 1, "after a loop that panicked")

	require.NoError(t, p.Resolve(1))
	assert.Equal(t, []int{0}, other.take(nil), "the one who went on waiting was told")
	assert.Nil(t, p.future.audience)
}

// Whoever sees a final state can rely on it that the waiters know.
func TestWaitersAreToldBeforeTheOutcomeIsVisible(t *testing.T) {
	for range 2000 {
		p := NewPromise[int]()
		in := newInbox()
		p.future.await(waiter{in, 7})
		go func() { _ = p.Resolve(1) }()
		for p.future.State() != Finished { // closer on its heels than Done could be
			runtime.Gosched()
		}
		require.Equal(t, []int{7}, in.take(nil))
	}
}

func TestASettledFutureKeepsNothingItNoLongerNeeds(t *testing.T) {
	p := NewPromise[int]()
	p.future.OnDone(func(*Future[int]) {})
	p.future.await(waiter{newInbox(), 0})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.future.listeners().watched = new(watched)
	p.future.listeners().watched.watchFor(ctx, nobody{})
	require.NoError(t, p.Resolve(1))
	assert.Nil(t, p.future.audience)
	assert.Nil(t, p.future.holder)
}

type nobody struct{}

func (nobody) giveUp() {}
