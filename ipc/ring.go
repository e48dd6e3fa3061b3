package ipc

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unsafe"
)

// A Ring is memory that a worker shares with its host, in which it leaves its responses. A response is there for the host
// before the next call begins, as if it had been written to the pipe, and whatever the next call does to the process; but it
// costs no system call. Only a host that sleeps has to be told, by the notification [Ready].
//
// The memory begins with a page of which three words are used, each in a cache line of its own:
//
//	 0  produced, 64 bit: bytes that the worker has put in so far
//	64  consumed, 64 bit: bytes that the host has taken out so far
//	128 asleep, 32 bit: 1 while the host wants to be told, 2 while it waits for this very word; the host sets it, and who tells it clears it
//
// The rest, a power of two, holds entries one after the other, which go on at the beginning where they reach the end: a
// length (32 bit), the nanoseconds that the call took (32 bit), the id of the call (64 bit), its encoded result, and nothing up to
// the next multiple of eight. If the highest bit of the length is set, the body of a response takes the place of the result.
// Numbers are in the byte order of the machine.
//
// A Ring has one side that puts and one that takes; each is one goroutine at a time. What a hostile worker writes here is
// copied before it is looked at, and can only harm the calls it was given.
type Ring struct {
	produced, consumed *atomic.Uint64
	asleep             *atomic.Uint32
	data               []byte
	at                 uint64 // this side's position
	seen               uint64 // the other side's, when it was last looked at
}

const (
	ringHeader  = 4096
	entryHeader = 16

	// entryMessage in the length of an entry says that it holds a message and no result.
	entryMessage = 1 << 31
)

// An Entry is one response in a ring.
type Entry struct {
	ID     uint64
	Took   time.Duration // how long the call ran, up to four seconds, and those before it whose entries say zero
	Result []byte        // encoded; nil if there is a message
	Body   []byte        // of a message, in place of the result
}

// RingMemory is the length of the memory for a ring of size bytes.
func RingMemory(size int) int { return ringHeader + size }

// NewRing lays a ring over mem, which both sides must have mapped shared.
func NewRing(mem []byte) (*Ring, error) {
	size := len(mem) - ringHeader
	if size < 4096 || size&(size-1) != 0 {
		return nil, fmt.Errorf("ipc: a ring in %d bytes of memory: it must be %d and a power of two from 4096 on", len(mem), ringHeader)
	}
	if uintptr(unsafe.Pointer(&mem[0]))%8 != 0 {
		return nil, fmt.Errorf("ipc: a ring at an address that is not a multiple of 8")
	}
	return &Ring{
		produced: (*atomic.Uint64)(unsafe.Pointer(&mem[0])),
		consumed: (*atomic.Uint64)(unsafe.Pointer(&mem[64])),
		asleep:   (*atomic.Uint32)(unsafe.Pointer(&mem[128])),
		data:     mem[ringHeader:],
	}, nil
}

func padded(n int) int { return (n + 7) &^ 7 }

// Put is the worker's step: it leaves a response there. It reports false if there is no room for it; the response has to go
// through the pipe then.
func (r *Ring) Put(e Entry) bool {
	body, flag := e.Result, uint32(0)
	if body == nil {
		body, flag = e.Body, entryMessage
	}
	need := entryHeader + padded(len(body))
	if need > len(r.data)/4 || !r.room(need) {
		return false
	}
	// An entry begins at a multiple of eight, so each word of its head is in one piece.
	at := r.at & uint64(len(r.data)-1)
	word := r.data[at : at+8]
	binary.NativeEndian.PutUint32(word, uint32(len(body))|flag)
	binary.NativeEndian.PutUint32(word[4:], uint32(min(max(e.Took, 0), math.MaxUint32)))
	at = (at + 8) & uint64(len(r.data)-1)
	binary.NativeEndian.PutUint64(r.data[at:at+8], e.ID)
	r.copyIn(r.at+entryHeader, body)
	r.at += uint64(need)
	r.produced.Store(r.at)
	return true
}

// room reports whether need bytes are free.
func (r *Ring) room(need int) bool {
	if r.at-r.seen+uint64(need) <= uint64(len(r.data)) {
		return true
	}
	r.seen = r.consumed.Load()
	return r.at-r.seen+uint64(need) <= uint64(len(r.data))
}

func (r *Ring) copyIn(at uint64, b []byte) {
	n := copy(r.data[at&uint64(len(r.data)-1):], b)
	copy(r.data, b[n:])
}

// Filling reports whether the ring seems more than half full, so that the host should be told soon.
func (r *Ring) Filling() bool {
	return r.at-r.seen > uint64(len(r.data)/2)
}

// The values of the word asleep.
const (
	awake  = 0
	asleep = 1 // waits for the pipe
	dozing = 2 // waits for the word
)

// Tell is the worker's question whether the host sleeps though there is something in the ring, so that it must be told.
// Whoever is answered true has to tell it; it may be asked by any goroutine. A host that dozes is woken here.
func (r *Ring) Tell() bool {
	if r.asleep.Load() == awake || r.produced.Load() == r.consumed.Load() {
		return false
	}
	r.Wake()
	return r.asleep.CompareAndSwap(asleep, awake)
}

// Wake is the worker's step after it has written to the pipe: a host that dozes looks at nothing else.
func (r *Ring) Wake() {
	if r.asleep.Load() == dozing && r.asleep.CompareAndSwap(dozing, awake) {
		wake(r.asleep)
	}
}

// Sleep is the host's last step before it waits for the pipe. It reports false if there is something to take first.
func (r *Ring) Sleep() bool {
	r.asleep.Store(asleep)
	if r.produced.Load() == r.at {
		return true
	}
	r.asleep.Store(awake)
	return false
}

// Doze is the host's way to wait for the ring alone, where [Dozes] and the worker knows of it: for no longer than atMost, which it keeps
// a thread for. It reports whether there is something to take.
func (r *Ring) Doze(atMost time.Duration) bool {
	r.asleep.Store(dozing)
	if r.produced.Load() == r.at {
		await(r.asleep, dozing, atMost)
	}
	r.asleep.Store(awake)
	return r.produced.Load() != r.at
}

// Take is the host's step: it appends all entries there are to dst, and makes room for more. An error says that the worker
// has broken the protocol.
func (r *Ring) Take(dst []byte) ([]byte, error) {
	produced := r.produced.Load()
	n := produced - r.at
	if n == 0 {
		return dst, nil
	}
	if n > uint64(len(r.data)) || n%8 != 0 {
		return dst, fmt.Errorf("%w: the ring says that it holds %d bytes, and has %d", ErrProtocol, n, len(r.data))
	}
	begin, end := r.at&uint64(len(r.data)-1), produced&uint64(len(r.data)-1)
	if begin < end {
		dst = append(dst, r.data[begin:end]...)
	} else {
		dst = append(append(dst, r.data[begin:]...), r.data[:end]...)
	}
	r.at = produced
	r.consumed.Store(produced)
	return dst, nil
}

// CutEntry cuts the first entry off what Take has returned.
func CutEntry(entries []byte) (e Entry, rest []byte, err error) {
	if len(entries) < entryHeader {
		return e, nil, fmt.Errorf("%w: an entry of the ring is cut", ErrProtocol)
	}
	size := binary.NativeEndian.Uint32(entries)
	n := int(size &^ entryMessage)
	e.Took = time.Duration(binary.NativeEndian.Uint32(entries[4:]))
	e.ID = binary.NativeEndian.Uint64(entries[8:])
	entries = entries[entryHeader:]
	if n > len(entries) || padded(n) > len(entries) { // the first, since padded has no room for the largest on 32 bits
		return e, nil, fmt.Errorf("%w: an entry of the ring of %d bytes goes beyond its end", ErrProtocol, n)
	}
	if size&entryMessage != 0 {
		e.Body = entries[:n]
	} else {
		e.Result = entries[:n]
	}
	return e, entries[padded(n):], nil
}
