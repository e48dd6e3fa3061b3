package ipc

import (
	"errors"
	"fmt"
	"io"
)

// Valid returns the length of the one msgpack value that src begins with. It has checked all of it: every head is one that
// msgpack knows, every declared length fits into the bytes that are there, and arrays and maps nest no deeper than
// maxDepth. Bodies of strings, binaries and extensions are stepped over, whatever their size.
//
// Neither the time nor the memory it takes grows with what a value merely declares, and it does not recurse.
func Valid(src []byte, maxDepth int) (n int, err error) { return measure(src, maxDepth, nil) }

// errEmptyExt refuses what extensions is asked to find but could not tell from its neighbour.
var errEmptyExt = errors.New("ipc: an extension without a body")

// measure is Valid. Unless extensions is nil it appends to it where the body of each extension begins, and refuses
// extensions without one.
func measure(src []byte, maxDepth int, extensions *[]int) (int, error) {
	var few [16]int
	open := few[:0] // how many values are still owed to each array or map around pos
	for pos := 0; ; {
		head := len(open)
		end, kids, err := item(src, pos)
		switch {
		case err != nil:
			return 0, err
		case kids >= 0 && head >= maxDepth:
			return 0, fmt.Errorf("ipc: values nest deeper than %d", maxDepth)
		case kids > 0:
			open = append(open, kids)
		case extensions != nil && extHead[src[pos]] > 0:
			body := pos + int(extHead[src[pos]])
			if body == end {
				return 0, errEmptyExt
			}
			*extensions = append(*extensions, body)
		}
		pos = end
		for len(open) > 0 && open[len(open)-1] == 0 {
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return pos, nil
		}
		open[len(open)-1]--
	}
}

// extHead is the length of an extension's head, by its first byte, and 0 for all that are no extension.
var extHead = [256]uint8{0xc7: 3, 0xc8: 4, 0xc9: 6, 0xd4: 2, 0xd5: 2, 0xd6: 2, 0xd7: 2, 0xd8: 2}

// item reads the head of the value at pos. It returns where the value ends, or for an array or a map where its first kid
// begins, and how many values follow as kids, which is -1 for everything else.
func item(src []byte, pos int) (end, kids int, err error) {
	if pos >= len(src) {
		return 0, 0, io.ErrUnexpectedEOF
	}
	rest := src[pos+1:]
	var body, perItem uint64 // bytes that follow; values per declared item
	switch b := src[pos]; {
	case b < 0x80, b >= 0xe0, b == 0xc0, b == 0xc2, b == 0xc3: // small integers, nil, false, true
		return pos + 1, -1, nil
	case b < 0x90:
		perItem, body = 2, uint64(b&0x0f)
	case b < 0xa0:
		perItem, body = 1, uint64(b&0x0f)
	case b < 0xc0:
		body = uint64(b & 0x1f)
	case b == 0xc1:
		return 0, 0, errors.New("ipc: 0xc1 begins no msgpack value")
	case b <= 0xc6:
		body, rest = declared(rest, 1<<(b-0xc4))
	case b <= 0xc9:
		body, rest = declared(rest, 1<<(b-0xc7))
		body++ // the type
	case b <= 0xcb:
		body = 4 << (b - 0xca)
	case b <= 0xcf:
		body = 1 << (b - 0xcc)
	case b <= 0xd3:
		body = 1 << (b - 0xd0)
	case b <= 0xd8:
		body = 1 + 1<<(b-0xd4)
	case b <= 0xdb:
		body, rest = declared(rest, 1<<(b-0xd9))
	case b <= 0xdd:
		perItem = 1
		body, rest = declared(rest, 2<<(b-0xdc))
	default:
		perItem = 2
		body, rest = declared(rest, 2<<(b-0xde))
	}
	if rest == nil {
		return 0, 0, io.ErrUnexpectedEOF
	}
	pos = len(src) - len(rest)
	switch {
	case perItem*body > uint64(len(rest)):
		return 0, 0, fmt.Errorf("ipc: an array or a map declares %d values and %d bytes follow: %w", perItem*body, len(rest), io.ErrUnexpectedEOF)
	case perItem > 0:
		return pos, int(perItem * body), nil
	case body > uint64(len(rest)):
		return 0, 0, fmt.Errorf("ipc: a value declares %d bytes and %d follow: %w", body, len(rest), io.ErrUnexpectedEOF)
	default:
		return pos + int(body), -1, nil
	}
}

// declared reads a big-endian length of n bytes. What is left is nil if they are not there.
func declared(src []byte, n int) (length uint64, rest []byte) {
	if len(src) < n {
		return 0, nil
	}
	for _, b := range src[:n] {
		length = length<<8 | uint64(b)
	}
	return length, src[n:]
}
