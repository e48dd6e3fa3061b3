package ipc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame is a header of eight bytes and a body:
//
//	+------+-----+-----+------+----------------+------------------+
//	| 0xC1 | 'c' | 'f' | 0x01 | length, 32 bit | body, msgpack    |
//	+------+-----+-----+------+----------------+------------------+
//
// The length is big-endian and counts the body. 0xC1 is the one byte that msgpack never uses, and no text begins with it.
const headerLen = 8

var magic = [4]byte{0xC1, 'c', 'f', 0x01}

// ErrProtocol is matched by every error that says that the other side broke the protocol. The stream is of no use after
// it.
var ErrProtocol = errors.New("ipc: protocol error")

// A TooLargeError reports a body over the limit.
type TooLargeError struct{ Len, Max uint64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("ipc: a body of %d bytes is over the limit of %d", e.Len, e.Max)
}

// Is makes an oversize frame a protocol error.
func (e *TooLargeError) Is(target error) bool { return target == ErrProtocol }

// beginFrame appends a header without a length; endFrame fills it in, for a body that is there but for toFollow bytes.
func beginFrame(dst []byte) []byte {
	return append(dst, magic[0], magic[1], magic[2], magic[3], 0, 0, 0, 0)
}

func endFrame(dst []byte, start, toFollow int) []byte {
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-headerLen+toFollow))
	return dst
}

// Body is the body of a frame that was made here.
func Body(frame []byte) []byte { return frame[headerLen:] }

// A Reader reads frames. It is not safe for concurrent use.
type Reader struct {
	br    *bufio.Reader
	limit uint32
	body  []byte
}

// NewReader returns a Reader that refuses bodies of more than limit bytes, before it allocates anything for them.
func NewReader(r io.Reader, limit uint32) *Reader {
	return &Reader{br: bufio.NewReaderSize(r, 64<<10), limit: limit}
}

// SetLimit changes the limit for the frames to come.
func (r *Reader) SetLimit(limit uint32) { r.limit = limit }

// Buffered is the number of bytes that can be read without waiting.
func (r *Reader) Buffered() int { return r.br.Buffered() }

// Ready reports whether Next has a whole frame to return without waiting, or an error.
func (r *Reader) Ready() bool {
	if r.br.Buffered() < headerLen {
		return false
	}
	head, _ := r.br.Peek(headerLen) // buffered, so there
	return uint64(r.br.Buffered()-headerLen) >= uint64(binary.BigEndian.Uint32(head[4:]))
}

// Await waits until there is something to read, or an error, which comes again with Next.
func (r *Reader) Await() {
	r.Forget()
	if r.br.Buffered() == 0 {
		_, _ = r.br.Peek(1)
	}
}

// Fill reads once, and so waits only if nothing can be read. An error comes again with the next read.
func (r *Reader) Fill() {
	_, _ = r.br.Peek(min(r.br.Buffered()+1, r.br.Size()))
}

// Next reads one frame and returns its body, which is valid until the call after. Its error is [io.EOF] only when the stream
// ends between two frames; one that ends inside a frame gives [io.ErrUnexpectedEOF].
func (r *Reader) Next() ([]byte, error) {
	r.Forget()
	head, err := r.head()
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[4:])
	if n > r.limit {
		return nil, &TooLargeError{uint64(n), uint64(r.limit)}
	}
	_, _ = r.br.Discard(headerLen) // peeked above
	return r.read(int(n))
}

// Forget lets go of a large body: the wait for the next frame may be long. Whoever waits here does that by itself.
func (r *Reader) Forget() {
	if cap(r.body) > keepBody {
		r.body = nil
	}
}

// head waits for a header, but not once a byte is there that begins none: whoever sent that may never send eight.
func (r *Reader) head() ([]byte, error) {
	for {
		head, _ := r.br.Peek(min(r.br.Buffered(), headerLen)) // buffered, so there
		if !isMagicPrefix(head) {
			stray, _ := r.br.Peek(min(r.br.Buffered(), maxStray))
			return nil, fmt.Errorf("%w: not a frame: it begins with %q", ErrProtocol, stray)
		}
		if len(head) == headerLen {
			return head, nil
		}
		if _, err := r.br.Peek(len(head) + 1); err != nil {
			if err == io.EOF && len(head) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

func isMagicPrefix(head []byte) bool {
	n := min(len(head), len(magic))
	return string(head[:n]) == string(magic[:n])
}

// maxStray is how much of what is no frame an error shows.
const maxStray = 64

const (
	// growStep is how much is allocated ahead of the bytes that arrived, so that a length alone costs nothing.
	growStep = 1 << 20
	// keepBody is the largest buffer kept for the next frame: one who waits for hours should not sit on a gigabyte.
	keepBody = 4 << 20
)

func (r *Reader) read(n int) ([]byte, error) {
	body := r.body[:0]
	for len(body) < n {
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(n, max(2*len(body), growStep, 512)))
			if n < growStep {
				grown = make([]byte, len(body), max(n, 512))
			}
			copy(grown, body)
			body = grown
		}
		upTo := min(n, cap(body))
		m, err := io.ReadFull(r.br, body[len(body):upTo])
		body = body[:len(body)+m]
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	r.body = body
	return body, nil
}
