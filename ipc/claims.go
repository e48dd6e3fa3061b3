package ipc

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Claims is a table in memory that host and worker share, in which they settle for each call that was sent ahead who has
// it. Slot id modulo the number of slots holds id<<2 | state, so that a slot says of which call it speaks and a late
// operation on an earlier call can never touch a later one.
//
//	queued ──▶ started ──▶ finished     by the worker
//	   └─────▶ withdrawn                by the host
//
// Each step is one compare-and-swap: a call is started or withdrawn, never both. What a hostile worker writes here can
// only harm the calls it was given. The host must not have more calls at a worker than there are slots.
type Claims struct{ slots []atomic.Uint64 }

// A ClaimState says who has a call.
type ClaimState uint8

const (
	ClaimQueued    ClaimState = iota // sent, not started
	ClaimStarted                     // the worker runs it
	ClaimWithdrawn                   // the host took it back
	ClaimFinished                    // the worker has run it
	ClaimUnknown                     // the slot speaks of another call: the worker broke the rules
)

func (s ClaimState) String() string {
	names := [...]string{"queued", "started", "withdrawn", "finished", "unknown"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("ClaimState(%d)", uint8(s))
}

// NewClaims lays a table over mem, which both sides must have mapped shared. Its length is a power of two, and at least
// 8 bytes for a slot.
func NewClaims(mem []byte) (*Claims, error) {
	n := len(mem) / 8
	if n == 0 || n&(n-1) != 0 || len(mem)%8 != 0 {
		return nil, fmt.Errorf("ipc: a claim table of %d bytes: it must be 8 bytes times a power of two", len(mem))
	}
	if uintptr(unsafe.Pointer(&mem[0]))%8 != 0 {
		return nil, fmt.Errorf("ipc: a claim table at an address that is not a multiple of 8")
	}
	return &Claims{unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&mem[0])), n)}, nil
}

// Slots is how many calls the table has room for at once.
func (c *Claims) Slots() int { return len(c.slots) }

func (c *Claims) slot(id uint64) *atomic.Uint64 { return &c.slots[id&uint64(len(c.slots)-1)] }

func word(id uint64, s ClaimState) uint64 { return id<<2 | uint64(s) }

// Queue is the host's step before it sends the call.
func (c *Claims) Queue(id uint64) { c.slot(id).Store(word(id, ClaimQueued)) }

// Start is the worker's step before it runs the call. On false the host has withdrawn it.
func (c *Claims) Start(id uint64) bool {
	return c.slot(id).CompareAndSwap(word(id, ClaimQueued), word(id, ClaimStarted))
}

// Finish is the worker's step after it has run the call, and before it answers. Without Start it does nothing.
func (c *Claims) Finish(id uint64) {
	c.slot(id).CompareAndSwap(word(id, ClaimStarted), word(id, ClaimFinished))
}

// Withdraw is the host's way to take back a call that has not started; it reports whether that was so.
func (c *Claims) Withdraw(id uint64) bool {
	return c.slot(id).CompareAndSwap(word(id, ClaimQueued), word(id, ClaimWithdrawn))
}

// A chunk's calls have consecutive ids and one slot, that of the first. It says how far the worker has come: which call it runs,
// the others before that being over and those after it not started. The host withdraws all that have not started at once.

// Advance is the worker's step from one call of a chunk to the next, which is id. On false the host has withdrawn the rest.
func (c *Claims) Advance(first, id uint64) bool {
	return c.slot(first).CompareAndSwap(word(id-1, ClaimStarted), word(id, ClaimStarted))
}

// WithdrawRest is the host's way to take back those calls of the chunk from first to last that have not started; it returns the
// first of them, which is last+1 if there is none.
func (c *Claims) WithdrawRest(first, last uint64) uint64 {
	for {
		w := c.slot(first).Load()
		id, state := w>>2, ClaimState(w&3)
		var from uint64
		switch {
		case state == ClaimQueued && id == first:
			from = first
		case state == ClaimStarted && id >= first && id < last:
			from = id + 1
		default:
			return last + 1
		}
		if c.slot(first).CompareAndSwap(w, word(id, ClaimWithdrawn)) {
			return from
		}
	}
}

// Running tells which call of the chunk from first to last the worker has started last; false if it has started none. Once the rest was
// taken back from the first call on there is none, and WithdrawRest has said so: the word does not tell that from the rest after the first.
func (c *Claims) Running(first, last uint64) (uint64, bool) {
	w := c.slot(first).Load()
	id, state := w>>2, ClaimState(w&3)
	if id < first || id > last || state == ClaimQueued {
		return 0, false
	}
	return id, true
}

// State tells who has the call now.
func (c *Claims) State(id uint64) ClaimState {
	w := c.slot(id).Load()
	if w>>2 != id&(1<<62-1) {
		return ClaimUnknown
	}
	return ClaimState(w & 3)
}
