package ipc

import "math"

// Meta is what a request says besides its argument.
type Meta struct {
	Timeout  int64 `msgpack:"timeout,omitempty"`  // nanoseconds from the start of execution
	Deadline int64 `msgpack:"deadline,omitempty"` // of the caller's ctx: nanoseconds since 1970
	Attempt  int   `msgpack:"attempt,omitempty"`  // 2 for the first retry, and so on
}

// Under a ctx with a deadline every request has a meta, so it is encoded and decoded here: through msgpack's reflection it cost more than
// everything else about a short call.

// appendMeta appends a map of what is not zero, or nil.
func appendMeta(dst []byte, m Meta) []byte {
	fields := [...]struct {
		key   string
		value int64
	}{{"timeout", m.Timeout}, {"deadline", m.Deadline}, {"attempt", int64(m.Attempt)}}
	n := byte(0)
	for _, f := range fields {
		if f.value != 0 {
			n++
		}
	}
	if n == 0 {
		return append(dst, msgpackNil)
	}
	dst = append(dst, 0x80|n)
	for _, f := range fields {
		if f.value != 0 {
			dst = appendInt(appendString(dst, f.key), f.value)
		}
	}
	return dst
}

// DecodeMeta reads a meta; none is the zero Meta. Keys that it does not know are of later versions.
func DecodeMeta(src []byte) (Meta, error) {
	if len(src) == 0 {
		return Meta{}, nil
	}
	var m Meta
	c := cursor{rest: src}
	head := c.byte()
	for range head & 0x0F {
		var value uint64
		switch key := c.string(); string(key) {
		case "timeout":
			value = c.uint()
			m.Timeout = int64(value)
		case "deadline":
			value = c.uint()
			m.Deadline = int64(value)
		case "attempt":
			value = c.uint()
			m.Attempt = int(value)
		default:
			c.bad = true
		}
		c.bad = c.bad || value > math.MaxInt64
	}
	if head&0xF0 == 0x80 && !c.bad && len(c.rest) == 0 {
		return m, nil
	}
	m = Meta{} // out of the ordinary
	return m, DecodeParam(src, &m)
}
