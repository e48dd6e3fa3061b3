// Package segments makes WebAssembly modules quick to instantiate.
//
// Go's linker writes the data of a program without its zeros: tens of thousands of segments, which wazero looks at one by one for each
// instance. That takes longer than all the rest of an interpreter's start.
package segments

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// maxGap is how many zeros may be written out for one segment less. All together may not make the module more than twice as long, and freeZeros.
const maxGap = 1 << 10

const freeZeros = 1 << 20

// Sections of a module, by their ids.
const (
	dataSection      = 11
	dataCountSection = 12

	header = 8 // of a module: magic and version
)

var errMalformed = errors.New("segments: malformed module")

// Merge returns the module with as few data segments as there must be. Memory holds the same when it is instantiated. A module whose code may
// refer to segments, whose segments overlap, or which has others than for constant places, comes back as it is; so does one that
// is malformed, for others to say so.
func Merge(module []byte) []byte {
	merged, err := merge(module)
	if err != nil {
		return module
	}
	return merged
}

func merge(module []byte) ([]byte, error) {
	if len(module) < header {
		return nil, errMalformed
	}
	for rest := module[header:]; len(rest) > 0; {
		id := rest[0]
		size, n := uint32At(rest[1:])
		if n == 0 || uint64(size) > uint64(len(rest)-1-n) {
			return nil, errMalformed
		}
		body := rest[1+n : 1+n+int(size)]
		switch id {
		case dataCountSection: // which only modules have whose code refers to segments
			return nil, errMalformed
		case dataSection:
			data, err := parse(body)
			if err != nil {
				return nil, err
			}
			return slices.Concat(module[:len(module)-len(rest)], encode(join(data, freeZeros+len(module))), rest[1+n+int(size):]), nil
		}
		rest = rest[1+n+int(size):]
	}
	return module, nil
}

// A segment is bytes and their place in memory.
type segment struct {
	at    uint32
	bytes []byte
}

func (s segment) end() uint64 { return uint64(s.at) + uint64(len(s.bytes)) }

// parse returns the segments in the order of their places.
func parse(body []byte) ([]segment, error) {
	count, n := uint32At(body)
	if n == 0 || uint64(count) > uint64(len(body)) {
		return nil, errMalformed
	}
	body = body[n:]
	all := make([]segment, 0, count)
	for range count {
		const active, i32Const, end = 0, 0x41, 0x0b
		if len(body) < 2 || body[0] != active || body[1] != i32Const {
			return nil, errMalformed
		}
		at, n := int32At(body[2:])
		body = body[2+n:]
		if n == 0 || len(body) == 0 || body[0] != end {
			return nil, errMalformed
		}
		size, n := uint32At(body[1:])
		if n == 0 || uint64(size) > uint64(len(body)-1-n) {
			return nil, errMalformed
		}
		all = append(all, segment{uint32(at), body[1+n : 1+n+int(size)]})
		body = body[1+n+int(size):]
	}
	if len(body) > 0 {
		return nil, errMalformed
	}
	slices.SortFunc(all, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(len(a.bytes), len(b.bytes))) // an empty one is in nobody's way
	})
	for i := 1; i < len(all); i++ {
		if all[i-1].end() > uint64(all[i].at) {
			return nil, errMalformed
		}
	}
	return all, nil
}

// join makes one segment of those that are near to each other, as long as the zeros between them are no more than so many.
func join(all []segment, zeros int) (joined []segment) {
	for _, s := range all {
		if last := len(joined) - 1; last >= 0 {
			if gap := uint64(s.at) - joined[last].end(); gap <= min(maxGap, uint64(zeros)) {
				joined[last].bytes = append(append(joined[last].bytes, make([]byte, gap)...), s.bytes...)
				zeros -= int(gap)
				continue
			}
		}
		joined = append(joined, segment{s.at, slices.Clone(s.bytes)})
	}
	return joined
}

// encode is the whole section.
func encode(all []segment) []byte {
	body := binary.AppendUvarint(nil, uint64(len(all)))
	for _, s := range all {
		body = append(body, 0, 0x41)
		body = appendInt32(body, int32(s.at))
		body = append(body, 0x0b)
		body = binary.AppendUvarint(body, uint64(len(s.bytes)))
		body = append(body, s.bytes...)
	}
	return append(binary.AppendUvarint([]byte{dataSection}, uint64(len(body))), body...)
}

// uint32At reads LEB128; n is 0 if there is none.
func uint32At(b []byte) (v uint32, n int) {
	u, n := binary.Uvarint(b)
	if n <= 0 || n > 5 || u > 1<<32-1 {
		return 0, 0
	}
	return uint32(u), n
}

// int32At reads signed LEB128; n is 0 if there is none.
func int32At(b []byte) (v int32, n int) {
	var u uint64
	for i := range min(5, len(b)) {
		u |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			if unused := 64 - 7*(i+1); b[i]&0x40 != 0 {
				return int32(int64(u<<unused) >> unused), i + 1
			}
			return int32(u), i + 1
		}
	}
	return 0, 0
}

func appendInt32(dst []byte, v int32) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(dst, b)
		}
		dst = append(dst, b|0x80)
	}
}
