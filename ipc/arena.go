package ipc

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"
)

// An Arena is memory that a worker shares with its host, in which large values lie while the messages that speak of them travel
// through pipe and ring: it is not copied through the kernel, and lies in memory that is used again and again, so that its pages are there.
//
// The memory begins with a page of which one word is used:
//
//	0  taken, 64 bit: id of the last call whose result the host has taken out so far
//
// The rest is two halves. The host puts arguments into the first and the worker results into the second. Each is the master of its half:
// an argument lies there until its call is answered, and a result until taken says so. What finds no room goes through the pipe. Numbers
// are in the byte order of the machine.
type Arena struct {
	taken              *atomic.Uint64
	arguments, results []byte
	blocks             blocks // of the half that this side fills
}

// MinShared is the length of an encoded value from which on it is worth the arena.
const MinShared = 32 << 10

const arenaHeader = 4096

// ArenaMemory is the length of the memory for an arena of size bytes.
func ArenaMemory(size int) int { return arenaHeader + size }

// NewHostArena lays an arena over mem, which both sides must have mapped shared, for the side that puts arguments there.
func NewHostArena(mem []byte) (*Arena, error) {
	a, err := newArena(mem)
	if err == nil {
		a.blocks.mem = a.arguments
	}
	return a, err
}

// NewWorkerArena is [NewHostArena] for the side that puts results there.
func NewWorkerArena(mem []byte) (*Arena, error) {
	a, err := newArena(mem)
	if err == nil {
		a.blocks.mem = a.results
	}
	return a, err
}

func newArena(mem []byte) (*Arena, error) {
	size := len(mem) - arenaHeader
	if size < 2*MinShared || size%(2*alignment) != 0 {
		return nil, fmt.Errorf("ipc: an arena in %d bytes of memory: it must be %d and a multiple of %d from %d on", len(mem), arenaHeader, 2*alignment, 2*MinShared)
	}
	if uintptr(unsafe.Pointer(&mem[0]))%8 != 0 {
		return nil, fmt.Errorf("ipc: an arena at an address that is not a multiple of 8")
	}
	half := arenaHeader + size/2
	return &Arena{
		taken:     (*atomic.Uint64)(unsafe.Pointer(&mem[0])),
		arguments: mem[arenaHeader:half:half],
		results:   mem[half:],
	}, nil
}

// A Place is where in an arena a value lies.
type Place struct {
	Offset uint64 // from the beginning of the memory
	Len    uint64
}

// PutArgument is the host's step: it copies the argument of a call there. It reports false if there is no room. Ids must not
// decrease.
func (a *Arena) PutArgument(id uint64, arg []byte) (Place, bool) {
	return a.blocks.put(id, arg, arenaHeader)
}

// Answered frees what was put for calls up to id.
func (a *Arena) Answered(id uint64) { a.blocks.free(id) }

// Argument is the worker's view of an argument. It is valid until the call is answered.
func (a *Arena) Argument(p Place) ([]byte, error) { return within(a.arguments, p, arenaHeader) }

// PutResult is the worker's step: it copies the result of a call there. It reports false if there is no room. Ids must not decrease.
func (a *Arena) PutResult(id uint64, result []byte) (Place, bool) {
	a.blocks.free(a.taken.Load())
	return a.blocks.put(id, result, arenaHeader+len(a.arguments))
}

// RoomForResult is room for a result of up to n bytes, to encode it there instead of copying; PutResult is asked with it then. It is nil
// if there is none.
func (a *Arena) RoomForResult(n int) []byte {
	a.blocks.free(a.taken.Load())
	return a.blocks.room(n)
}

// Result is the host's view of a result. The worker can still write there: see [DecodeShared]. It is valid until Take.
func (a *Arena) Result(p Place) ([]byte, error) {
	return within(a.results, p, arenaHeader+len(a.arguments))
}

// Take is the host's step: the result of call id, and all before it, were decoded, and the worker may use their room.
func (a *Arena) Take(id uint64) { a.taken.Store(id) }

// within is where p lies in half, which begins at base.
func within(half []byte, p Place, base int) ([]byte, error) {
	from := p.Offset - uint64(base) // if that is less than nothing, it is more than there can be
	if from > uint64(len(half)) || p.Len > uint64(len(half))-from {
		return nil, fmt.Errorf("%w: %d bytes at %d of the arena, where this side does not read", ErrProtocol, p.Len, p.Offset)
	}
	return half[from : from+p.Len : from+p.Len], nil
}

// alignment of what lies in an arena: a cache line.
const alignment = 64

// blocks is a piece of memory that is given out in the order in which it comes back. As long as little is out it is its beginning
// that is used, again and again.
type blocks struct {
	mem []byte

	mu   sync.Mutex
	used []block // oldest first
}

type block struct {
	id         uint64
	begin, end int
}

// put copies b to a place of its own, unless it is there already: see room.
func (s *blocks) put(id uint64, b []byte, base int) (Place, bool) {
	room := s.room(len(b))
	if room == nil {
		return Place{}, false
	}
	if len(b) > 0 && &room[0] != &b[0] {
		copy(room, b)
	}
	begin := len(s.mem) - cap(room)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = append(s.used, block{id, begin, begin + (len(b)+alignment-1)&^(alignment-1)})
	return Place{Offset: uint64(base + begin), Len: uint64(len(b))}, true
}

// room is n bytes that are not given out: behind the newest block, or at the beginning. Its capacity reaches to the end of the memory, and
// so tells where it is. It is nil if there is none.
func (s *blocks) room(n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	begin, end := 0, len(s.mem)
	if len(s.used) > 0 {
		oldest, newest := s.used[0], s.used[len(s.used)-1]
		switch {
		case newest.begin < oldest.begin: // it began again
			begin, end = newest.end, oldest.begin
		case n <= len(s.mem)-newest.end:
			begin = newest.end
		default:
			end = oldest.begin
		}
	}
	if n > end-begin {
		return nil
	}
	return s.mem[begin : begin+n]
}

// free takes back what was given out for ids up to one.
func (s *blocks) free(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.used) && s.used[n].id <= id {
		n++
	}
	s.used = append(s.used[:0], s.used[n:]...)
}
