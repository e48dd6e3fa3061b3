package ipc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/vmihailenco/msgpack/v5"
)

// Kind is the first element of every message, as in MessagePack-RPC.
type Kind uint64

const (
	KindRequest        Kind = 0 // [0, id, function, meta or nil, argument]
	KindResponse       Kind = 1 // [1, id, failure or nil, result]
	KindNotification   Kind = 2 // [2, name, [parameter]]
	KindChunk          Kind = 3 // [3, id of the first, function, meta or nil, [argument, ...]]
	KindPlacedRequest  Kind = 4 // [4, id, function, meta or nil, offset, length]
	KindPlacedResponse Kind = 5 // [5, id, offset, length]
)

// Names of notifications. A name that is not known is ignored.
const (
	Hello   = "hello"   // worker to host, first: a [HelloParam]
	Welcome = "welcome" // host to worker, first: a [WelcomeParam]
	Cancel  = "cancel"  // host to worker: a [CancelParam]
	Ready   = "ready"   // worker to host: responses are in the ring; its parameter is nil
)

// InitializerID is the id of the one request that is the initializer. Calls count from 1, each one more than the last.
const InitializerID = 0

// A Message is one parsed message. Its slices alias the body it was parsed from.
type Message struct {
	Kind    Kind
	ID      uint64 // request, response; chunk: of its first call
	Name    []byte // request, chunk: the function; notification: its name
	Meta    []byte // request, chunk: an encoded [Meta], or empty
	Calls   int    // chunk: how many arguments there are
	Failure []byte // response: an encoded [Failure], or empty
	Value   []byte // request: the argument; chunk: the arguments; response: the result; notification: the parameter. Not yet checked: see [DecodeValue]
	Place   Place  // placed request: of the argument; placed response: of the result. Not yet checked: see [Arena]
}

// A HelloParam is what a worker says of itself.
type HelloParam struct {
	Protocol  int        `msgpack:"protocol"`
	PID       int        `msgpack:"pid"`
	Build     string     `msgpack:"build"`    // for a human: which program, built from what
	Features  []string   `msgpack:"features"` // see the Feature constants
	Functions []Function `msgpack:"functions"`
}

// A Function is one function that a worker offers. In and Out are fingerprints of its types ([Fingerprint]); empty means
// that the worker does not say, and the host does not check.
type Function struct {
	Name string `msgpack:"name"`
	In   string `msgpack:"in"`
	Out  string `msgpack:"out"`
}

// A WelcomeParam is the host's answer to hello.
type WelcomeParam struct {
	Protocol  int      `msgpack:"protocol"`
	Features  []string `msgpack:"features"`   // those of the worker's that will be used
	MaxBody   uint32   `msgpack:"max_body"`   // no frame may have a longer body
	MaxResult uint32   `msgpack:"max_result"` // no result may be longer, encoded; 0 from a host that does not say
	Slots     int      `msgpack:"slots"`      // of the claim table; 0 without claims
}

// ResultLimit is the longest result that may be sent, encoded: it keeps to MaxResult, and its frame to MaxBody.
func (w WelcomeParam) ResultLimit() uint32 {
	fits := w.MaxBody - min(w.MaxBody, resultHead)
	if w.MaxResult == 0 {
		return fits
	}
	return min(w.MaxResult, fits)
}

// resultHead is the most that a response has before its result.
const resultHead = 12

// A CancelParam asks for the ctx of a running call to be done.
type CancelParam struct {
	ID     uint64 `msgpack:"id"`
	Reason string `msgpack:"reason"` // "timeout" if the call ran for too long, "deadline" or "cancelled" for the caller's ctx
}

// Reasons of a [CancelParam].
const (
	ReasonTimeout   = "timeout"
	ReasonDeadline  = "deadline"
	ReasonCancelled = "cancelled"
)

// AppendRequest appends a frame with a request. arg is an encoded value.
func AppendRequest(dst []byte, id uint64, function string, meta Meta, arg []byte) []byte {
	return append(AppendRequestHead(dst, id, function, meta, len(arg)), arg...)
}

// AppendRequestHead appends a frame with a request up to its argument, an encoded value of argLen bytes that has to follow.
func AppendRequestHead(dst []byte, id uint64, function string, meta Meta, argLen int) []byte {
	return endFrame(appendCalls(beginFrame(dst), 5, KindRequest, id, function, meta), len(dst), argLen)
}

// AppendPlacedRequest appends a frame with a request whose argument lies in the arena.
func AppendPlacedRequest(dst []byte, id uint64, function string, meta Meta, p Place) []byte {
	out := appendCalls(beginFrame(dst), 6, KindPlacedRequest, id, function, meta)
	return endFrame(appendPlace(out, p), len(dst), 0)
}

// appendCalls appends the head of a message of some elements, and what every message says that brings calls.
func appendCalls(dst []byte, elements byte, kind Kind, id uint64, function string, meta Meta) []byte {
	dst = append(dst, 0x90|elements, byte(kind))
	dst = appendString(appendUint(dst, id), function)
	return appendMeta(dst, meta)
}

func appendPlace(dst []byte, p Place) []byte { return appendUint(appendUint(dst, p.Offset), p.Len) }

// MaxChunk is how many calls a chunk may have at most.
const MaxChunk = 1 << 15

// AppendChunkHead appends a frame with a chunk of calls up to its arguments, which are encoded values, argsLen bytes of them in all.
func AppendChunkHead(dst []byte, id uint64, function string, meta Meta, calls, argsLen int) []byte {
	out := appendCalls(beginFrame(dst), 5, KindChunk, id, function, meta)
	out = binary.BigEndian.AppendUint16(append(out, 0xDC), uint16(calls))
	return endFrame(out, len(dst), argsLen)
}

// AppendResult appends a frame with the response of a call that went well; result is encoded on the way, and if it cannot
// be, or is longer than most then, dst comes back as it was.
func AppendResult(dst []byte, id uint64, result any, most uint32) ([]byte, error) {
	start := len(dst)
	out := append(beginFrame(dst), 0x94, byte(KindResponse))
	out = append(appendUint(out, id), msgpackNil)
	head := len(out)
	out, err := AppendValue(out, result)
	if err == nil {
		err = CheckResult(out[head:], most)
	}
	if err != nil {
		return dst, err
	}
	return endFrame(out, start, 0), nil
}

// CheckResult is an error if an encoded result is longer than most.
func CheckResult(result []byte, most uint32) error {
	if uint64(len(result)) > uint64(most) {
		return fmt.Errorf("ipc: it takes %d bytes, and the host takes results of up to %d (Config.MaxResult)", len(result), most)
	}
	return nil
}

// ResultIn is the encoded result in a frame that AppendResult has made.
func ResultIn(frame []byte) []byte {
	c := cursor{rest: frame[headerLen+2:]}
	c.uint()
	return c.rest[1:]
}

// AppendPlacedResult appends a frame with the response of a call that went well and whose result lies in the arena.
func AppendPlacedResult(dst []byte, id uint64, p Place) []byte {
	out := append(beginFrame(dst), 0x94, byte(KindPlacedResponse))
	return endFrame(appendPlace(appendUint(out, id), p), len(dst), 0)
}

// AppendFailure appends a frame with the response of a call that failed. Long texts are cut.
func AppendFailure(dst []byte, id uint64, f Failure) []byte {
	start := len(dst)
	dst = append(beginFrame(dst), 0x94, byte(KindResponse))
	dst = appendUint(dst, id)
	if f.Kind == FailedWithdrawn {
		dst = append(dst, withdrawn...)
	} else {
		f.Type, f.Message, f.Stack = cut(f.Type), cut(f.Message), cut(f.Stack)
		dst = appendParam(dst, f)
	}
	return endFrame(append(dst, msgpackNil), start, 0)
}

// withdrawn is the one failure that comes in great numbers, and it has nothing to say but its kind.
var withdrawn = appendParam(nil, Failure{Kind: FailedWithdrawn})

// DecodeFailure reads the [Failure] of a response.
func DecodeFailure(src []byte) (f Failure, err error) {
	if bytes.Equal(src, withdrawn) {
		return Failure{Kind: FailedWithdrawn}, nil
	}
	err = DecodeParam(src, &f)
	return f, err
}

// AppendNotification appends a frame with a notification.
func AppendNotification(dst []byte, name string, param any) []byte {
	start := len(dst)
	dst = append(beginFrame(dst), 0x93, byte(KindNotification))
	dst = append(appendString(dst, name), 0x91)
	return endFrame(appendParam(dst, param), start, 0)
}

// appendParam encodes one of the structs of this file, which always can be.
func appendParam(dst []byte, param any) []byte {
	b, err := msgpack.Marshal(param)
	if err != nil {
		panic(fmt.Sprintf("ipc: BUG: %T cannot be encoded: %v", param, err))
	}
	return append(dst, b...)
}

// DecodeParam reads one of the structs of this file, and says which on failure. The error is no
// [futures.ErrNotShareable]: no argument and no result of a caller is to blame.
func DecodeParam(src []byte, into any) error {
	if err := DecodeValue(src, into); err != nil {
		return fmt.Errorf("%w: %v", ErrProtocol, err) //nolint:errorlint // on purpose: see above
	}
	return nil
}

// ParseMessage takes a body apart. It checks the envelope and leaves the value inside alone.
func ParseMessage(body []byte) (Message, error) {
	c := cursor{rest: body}
	size := c.array()
	m := Message{Kind: Kind(c.uint())}
	want, placed := -1, false
	switch m.Kind {
	case KindRequest:
		want = 5
		m.ID, m.Name, m.Meta = c.uint(), c.string(), c.optional()
	case KindChunk:
		want = 5
		m.ID, m.Name, m.Meta = c.uint(), c.string(), c.optional()
		m.Calls = c.array()
		c.bad = c.bad || m.Calls < 1 || m.Calls > MaxChunk
	case KindResponse:
		want = 4
		m.ID, m.Failure = c.uint(), c.optional()
	case KindNotification:
		want = 3
		m.Name = c.string()
		c.bad = c.bad || c.array() != 1 || len(body) > MaxHello
	case KindPlacedRequest:
		want, placed = 6, true
		m.ID, m.Name, m.Meta = c.uint(), c.string(), c.optional()
		m.Place = Place{c.uint(), c.uint()}
	case KindPlacedResponse:
		want, placed = 4, true
		m.ID = c.uint()
		m.Place = Place{c.uint(), c.uint()}
	}
	m.Value = c.rest
	if c.bad || size != want || (len(m.Value) == 0) != placed {
		return Message{}, fmt.Errorf("%w: not a message: %q", ErrProtocol, body[:min(len(body), 32)])
	}
	return m, nil
}

const msgpackNil = 0xC0

func appendString(dst []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, 0xA0|byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xDA), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xDB), uint32(n))
	}
	return append(dst, s...)
}

// cursor reads the envelope. Once bad it stays so and yields zeros.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || uint64(len(c.rest)) < n {
		c.bad = true
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

// bigEndian reads a number of n bytes.
func (c *cursor) bigEndian(n uint64) (v uint64) {
	for _, b := range c.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (c *cursor) uint() uint64 {
	switch b := c.byte(); {
	case b < 0x80:
		return uint64(b)
	case b >= 0xCC && b <= 0xCF:
		return c.bigEndian(1 << (b - 0xCC))
	default:
		c.bad = true
		return 0
	}
}

func (c *cursor) string() []byte {
	switch b := c.byte(); {
	case b&0xE0 == 0xA0:
		return c.take(uint64(b & 0x1F))
	case b >= 0xD9 && b <= 0xDB:
		return c.take(c.bigEndian(1 << (b - 0xD9)))
	default:
		c.bad = true
		return nil
	}
}

// array reads the head of an array and returns its size.
func (c *cursor) array() int {
	switch b := c.byte(); {
	case b&0xF0 == 0x90:
		return int(b & 0x0F)
	case b == 0xDC:
		return int(c.bigEndian(2))
	default:
		c.bad = true
		return -1
	}
}

// optional reads a meta or a failure whole; nil is empty.
func (c *cursor) optional() []byte {
	if !c.bad && len(c.rest) > 0 && c.rest[0] == msgpackNil {
		c.rest = c.rest[1:]
		return nil
	}
	n, err := Valid(c.rest, maxEnvelopeDepth)
	if err != nil || n > MaxEnvelope {
		c.bad = true
		return nil
	}
	return c.take(uint64(n))
}

// MaxEnvelope bounds a meta and a failure, which the other side decodes into structs that are larger than the bytes: a list of
// empty strings takes sixteen times as much.
const MaxEnvelope = 1 << 20

// maxEnvelopeDepth is how deep meta and failure may nest.
const maxEnvelopeDepth = 8
