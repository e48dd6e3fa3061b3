package interpreters

import (
	"fmt"

	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// An UnboundItem says what becomes of an item that is still in a queue when the interpreter that put it is gone, closed or dead
// (Q10). Items that this program put itself are never unbound, and an item that was taken out and put again belongs to whoever put it
// last (Q11).
type UnboundItem = abi.UnboundItem

const (
	// Unbound leaves the item's place in the queue. What is got there is the value Unbound itself, into a variable of
	// type any or UnboundItem. A variable of another type cannot hold it: the error is ErrItemInterpreterDestroyed then.
	Unbound = abi.Unbound

	// UnboundError leaves the item's place in the queue; getting it takes it out, with ErrItemInterpreterDestroyed.
	UnboundError = abi.UnboundError

	// UnboundRemove takes the item out of the queue at the moment its interpreter goes.
	UnboundRemove = abi.UnboundRemove
)

// A QueueOption changes a queue, or one put.
type QueueOption func(*queueSettings)

type queueSettings struct{ unbound UnboundItem }

// UnboundItems sets what becomes of items whose interpreter is gone: as an option of [CreateQueue] for all of the queue's items, and as
// an option of a put for that item. Without it that is [Unbound]. It panics if u is none of the three.
func UnboundItems(u UnboundItem) QueueOption {
	if !u.Valid() {
		panic(fmt.Sprintf("interpreters.UnboundItems: %v", u))
	}
	return func(s *queueSettings) { s.unbound = u }
}

func collectQueueOptions(unbound UnboundItem, opts []QueueOption) queueSettings {
	s := queueSettings{unbound}
	for _, opt := range opts {
		opt(&s)
	}
	return s
}

// An item is what lies in a queue.
type item struct {
	encoded []byte
	owner   *queuePort // nil if this program put it
	unbound UnboundItem
	gone    bool // the owner is; encoded is nil
}

// itemOverhead is what an item takes beside its bytes, about.
const itemOverhead = 64

// size is what an item counts in its owner's account.
func (i *item) size() int64 { return int64(len(i.encoded)) + itemOverhead }

// drop makes the owner's account right when the item leaves the queue, or loses what is in it.
func (i *item) drop() {
	if i.owner != nil {
		i.owner.queued.Add(-i.size())
		i.owner = nil
	}
}
