package meter

import "fmt"

// A RefusedError says why a module is not rewritten. Offset is where in the module, in bytes.
type RefusedError struct {
	Offset int
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("meter: module refused at byte %#x: %s", e.Offset, e.Reason)
}

// A reader walks a part of a module. After the first error it stands still and returns zeros, so that a caller may check err
// once per loop instead of once per read.
type reader struct {
	b   []byte // the module up to the end of the part, so that at is an offset in the module
	at  int
	err error
}

func (r *reader) fail(at int, format string, args ...any) {
	if r.err == nil {
		r.err = &RefusedError{at, fmt.Sprintf(format, args...)}
	}
}

func (r *reader) left() int { return len(r.b) - r.at }

func (r *reader) more() bool { return r.err == nil && r.at < len(r.b) }

func (r *reader) bytes(n uint32) []byte {
	if r.err != nil {
		return nil
	}
	if uint64(n) > uint64(r.left()) {
		r.fail(r.at, "%d bytes wanted, %d left", n, r.left())
		return nil
	}
	b := r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// zero reads a byte that is reserved.
func (r *reader) zero() {
	if at := r.at; r.byte() != 0 {
		r.fail(at, "a reserved byte is not zero")
	}
}

// u32 reads a LEB128 number. Padding within five bytes is valid, and linkers use it; more is not.
func (r *reader) u32() uint32 {
	at := r.at
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 28 && c > 0x0f {
			break
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.fail(at, "a number is longer than 32 bits")
	return 0
}

// signed reads a signed LEB128 number of at most so many bits, which is at most 64.
func (r *reader) signed(bits int) int64 {
	at := r.at
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if left := bits - shift; left < 7 { // the bits beyond the number's must repeat its sign
			if beyond := int8(c<<1) >> left; beyond != 0 && beyond != -1 || c >= 0x80 {
				break
			}
		}
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if shift += 7; shift < 64 && c&0x40 != 0 {
				v |= -1 << shift
			}
			return v
		}
	}
	r.fail(at, "a number is longer than %d bits", bits)
	return 0
}

// count reads how many items follow, each of at least size bytes: what it returns fits what is left.
func (r *reader) count(size int) int {
	at, n := r.at, r.u32()
	if uint64(n)*uint64(size) > uint64(r.left()) {
		r.fail(at, "%d items do not fit into %d bytes", n, r.left())
		return 0
	}
	return int(n)
}

// part reads a length and returns a reader of that many bytes.
func (r *reader) part() *reader {
	b := r.bytes(r.u32())
	return &reader{b: r.b[:r.at], at: r.at - len(b), err: r.err}
}

// done fails when something is left.
func (r *reader) done(what string) {
	if r.more() {
		r.fail(r.at, "%d bytes left over in %s", r.left(), what)
	}
}
