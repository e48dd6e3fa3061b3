package ipc

import (
	"encoding/binary"
	"math"
)

// The commonest types are encoded and decoded here, with the bytes and the rules that msgpack has for them: what it costs to get an
// encoder ready is more than what there is to do. Whatever is out of the ordinary is left to msgpack.

// appendScalar appends the encoding of the value that v points to. It reports false if v is of another type, or
// something out of the ordinary.
func appendScalar(dst []byte, v any) ([]byte, bool) {
	switch v := v.(type) {
	case *bool:
		if v != nil && *v {
			return append(dst, 0xC3), true
		} else if v != nil {
			return append(dst, 0xC2), true
		}
	case *int:
		if v != nil {
			return appendInt(dst, int64(*v)), true
		}
	case *int64:
		if v != nil {
			return appendInt(dst, *v), true
		}
	case *uint64:
		if v != nil {
			return appendUint(dst, *v), true
		}
	case *float64:
		if v != nil {
			return binary.BigEndian.AppendUint64(append(dst, 0xCB), math.Float64bits(*v)), true
		}
	case *string:
		if v != nil && len(*v) <= MaxValue-5 {
			return append(appendLength(dst, len(*v), 0xA0, 32, 0xD9), *v...), true
		}
	case *[]byte:
		if v != nil && *v != nil && len(*v) <= MaxValue-5 {
			return append(appendLength(dst, len(*v), 0, 0, 0xC4), *v...), true
		}
	}
	return dst, false
}

// RoomFor is how many bytes the encoding of the text or the bytes that v points to takes at most; 0 if v is something else.
func RoomFor(v any) int {
	const head = 5
	switch v := v.(type) {
	case *string:
		if v != nil {
			return head + len(*v)
		}
	case *[]byte:
		if v != nil {
			return head + len(*v)
		}
	}
	return 0
}

func appendInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendUint(dst, uint64(n))
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, 0xD0, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xD1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xD2), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xD3), uint64(n))
	}
}

func appendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xCC, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xCD), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xCE), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xCF), n)
	}
}

// appendLength appends the head of a text or of bytes: as one byte from fix on if n is below few, or else with the code for 8 bits
// or one of the two after it.
func appendLength(dst []byte, n int, fix byte, few int, code byte) []byte {
	switch {
	case n < few:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint8:
		return append(dst, code, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, code+1), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, code+2), uint32(n))
	}
}

// decodeScalar decodes the value at the beginning of src into what into points to, and returns how many bytes it takes; 0 if that is not
// as simple as that.
func decodeScalar(src []byte, into any) int {
	if len(src) == 0 {
		return 0
	}
	switch into := into.(type) {
	case *bool:
		if into != nil && (src[0] == 0xC2 || src[0] == 0xC3) {
			*into = src[0] == 0xC3
			return 1
		}
	case *int:
		if n, size := integer(src); into != nil && size > 0 {
			*into = int(n)
			return size
		}
	case *int64:
		if n, size := integer(src); into != nil && size > 0 {
			*into = n
			return size
		}
	case *uint64:
		if n, size := integer(src); into != nil && size > 0 {
			*into = uint64(n)
			return size
		}
	case *float64:
		if into != nil && src[0] == 0xCB && len(src) >= 9 {
			*into = math.Float64frombits(binary.BigEndian.Uint64(src[1:]))
			return 9
		}
	case *string:
		if begin, end := extent(src, 0xA0, 32, 0xD9); into != nil && end > 0 {
			*into = string(src[begin:end])
			return end
		}
	case *[]byte:
		if begin, end := extent(src, 0, 0, 0xC4); into != nil && end > 0 {
			*into = append([]byte{}, src[begin:end]...) // make would clear it first
			return end
		}
	}
	return 0
}

// integer reads any form of an integer; its size is 0 if src begins with something else.
func integer(src []byte) (n int64, size int) {
	b := src[0]
	switch {
	case b < 0x80 || b >= 0xE0:
		return int64(int8(b)), 1
	case b < 0xCC || b > 0xD3:
		return 0, 0
	}
	width := 1 << ((b - 0xCC) & 3)
	if len(src) <= width {
		return 0, 0
	}
	var u uint64
	for _, c := range src[1 : 1+width] {
		u = u<<8 | uint64(c)
	}
	if b >= 0xD0 { // signed
		unused := 64 - 8*width
		return int64(u<<unused) >> unused, 1 + width
	}
	return int64(u), 1 + width
}

// extent finds the text or the bytes that src begins with: see appendLength. end is 0 if it begins with something else.
func extent(src []byte, fix byte, few int, code byte) (begin, end int) {
	b := src[0]
	if few > 0 && b >= fix && int(b-fix) < few {
		begin, end = 1, 1+int(b-fix)
	} else if b >= code && b < code+3 {
		n, rest := declared(src[1:], 1<<(b-code))
		if rest == nil || n > uint64(len(rest)) {
			return 0, 0
		}
		begin = len(src) - len(rest)
		end = begin + int(n)
	}
	if end > len(src) {
		return 0, 0
	}
	return begin, end
}
