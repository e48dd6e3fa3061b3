package ipc

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/seed7d1be1d5/concurrent/futures"
)

const (
	// MaxBody is the most that the body of a frame may ever hold.
	MaxBody = 1 << 30

	// MaxValue is the most that one encoded value may take; the rest of MaxBody is for the message around it.
	MaxValue = MaxBody - 64<<10

	// MaxDepth is how deep arrays and maps may nest in an encoded value. A struct is a map.
	MaxDepth = 1000
)

// AppendValue appends the msgpack encoding of the value that v points to. The error matches [futures.ErrNotShareable], says
// which Go type cannot be encoded and why, and comes with dst as it was; a panic of the value's own encoding methods is
// such an error as well.
//
// The value must not change meanwhile: the runtime ends the program over a map that does.
func AppendValue(dst []byte, v any) ([]byte, error) {
	if out, ok := appendScalar(dst, v); ok {
		return out, nil
	}
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer {
		return dst, notShareable("encode", t, errors.New("ipc: not a pointer"))
	}
	s := shapeBehind(v, t)
	if s.err != nil {
		return dst, notShareable("encode", t, s.err)
	}
	if s.deep {
		if err := checkDepth(reflect.ValueOf(v)); err != nil {
			return dst, notShareable("encode", t, err)
		}
	}
	out, err := encode(dst, v)
	if err == nil && s.foreign {
		err = checkForeign(out[len(dst):])
	}
	if err != nil {
		return dst, notShareable("encode", t, err)
	}
	return out, nil
}

// DecodeValue decodes src, which is one value and nothing more, into what into points to. Nothing decoded aliases src. The
// error matches [futures.ErrNotShareable] and says which Go type could not be decoded and why; the target may then be
// partly set. A panic of the target's own decoding methods is such an error as well.
//
// Bytes from a hostile peer cost no more memory than a multiple of their number. The factor is up to the target: one
// byte can stand for a whole zero element of a slice. The decoding methods of the target are trusted.
func DecodeValue(src []byte, into any) error {
	if n := decodeScalar(src, into); n > 0 && n == len(src) {
		return nil
	}
	t := reflect.TypeOf(into)
	if t == nil || t.Kind() != reflect.Pointer {
		return notShareable("decode", t, errors.New("ipc: not a pointer"))
	}
	if err := decode(src, into, shapeBehind(into, t).err); err != nil {
		return notShareable("decode", t, err)
	}
	return nil
}

// CutValue cuts off the first of several encoded values, whether it can be decoded or not. Without one there is no rest.
func CutValue(src []byte) (first, rest []byte, err error) {
	n, err := Valid(src, MaxDepth)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", futures.ErrNotShareable, err)
	}
	return src[:n:n], src[n:], nil
}

// DecodeShared is [DecodeValue] for bytes that another process may change meanwhile.
func DecodeShared(src []byte, into any) error {
	switch into.(type) {
	case *string, *[]byte: // each byte is looked at once
		if n := decodeScalar(src, into); n > 0 && n == len(src) {
			return nil
		}
	}
	return DecodeValue(slices.Clone(src), into)
}

func notShareable(verb string, t reflect.Type, err error) error {
	name := "nil"
	switch {
	case t == nil:
	case t.Kind() == reflect.Pointer:
		name = t.Elem().String()
	default:
		name = t.String()
	}
	return fmt.Errorf("%w: cannot %s %s: %w", futures.ErrNotShareable, verb, name, err)
}

// keepBuffer is the size of a value from which on an encoder or decoder is not kept: it has buffers of that order.
const keepBuffer = 64 << 10

// An appender is an encoder and the writer below it.
type appender struct {
	enc   *msgpack.Encoder
	out   []byte
	start int
}

var appenders = sync.Pool{New: func() any { return &appender{enc: msgpack.NewEncoder(nil)} }}

func (a *appender) Write(p []byte) (int, error) {
	if err := a.room(len(p)); err != nil {
		return 0, err
	}
	a.out = append(a.out, p...)
	return len(p), nil
}

func (a *appender) WriteByte(b byte) error {
	if err := a.room(1); err != nil {
		return err
	}
	a.out = append(a.out, b)
	return nil
}

func (a *appender) room(n int) error {
	if size := len(a.out) - a.start + n; size > MaxValue {
		return fmt.Errorf("ipc: its encoding takes %d bytes or more, and the limit is %d", size, MaxValue)
	}
	return nil
}

func encode(dst []byte, v any) (out []byte, err error) {
	a := appenders.Get().(*appender)
	a.out, a.start = dst, len(dst)
	defer containPanic(&err)
	a.enc.Reset(a)
	a.enc.UseCompactInts(true)
	if err := a.enc.Encode(v); err != nil {
		return nil, err // an encoder that failed or panicked may be in any state, and is not used again
	}
	out, a.out = a.out, nil
	if len(out)-len(dst) <= keepBuffer {
		appenders.Put(a)
	}
	return out, nil
}

// checkForeign looks at bytes that encoding methods may have written. They could be anything, and would be taken for the
// rest of the message: an empty [msgpack.RawMessage] writes nothing at all.
func checkForeign(encoded []byte) error {
	n, err := Valid(encoded, MaxDepth)
	if err == nil && n < len(encoded) {
		err = fmt.Errorf("ipc: %d bytes after the end", len(encoded)-n)
	}
	if err != nil {
		return fmt.Errorf("ipc: its encoding is not one msgpack value: %w", err)
	}
	return nil
}

// A source is a decoder and the reader below it. The decoder sees only a reader, so it has to copy what it keeps.
type source struct {
	dec *msgpack.Decoder
	src []byte
	pos int

	// extensions are where their bodies begin, those ahead of pos. See ReadByte.
	extensions []int
}

var sources = sync.Pool{New: func() any { return &source{dec: msgpack.NewDecoder(nil)} }}

func decode(src []byte, into any, refused error) (err error) {
	s := sources.Get().(*source)
	s.extensions = s.extensions[:0]
	found := s.extensions
	n, err := measure(src, MaxDepth, &found)
	if err == nil && n < len(src) {
		err = fmt.Errorf("ipc: %d bytes after the end of the value", len(src)-n)
	}
	if err == nil {
		err = refused
	}
	if err != nil {
		return err
	}
	s.src, s.pos, s.extensions = src, 0, found
	defer containPanic(&err)
	s.dec.Reset(s)
	s.dec.SetMapDecoder(decodeAnyMap)
	s.dec.DisableAllocLimit(true) // every length was checked, and growing in steps costs copies
	if err := s.dec.Decode(into); err != nil {
		return err // as for an encoder; this one may go on to record all it reads
	}
	if s.pos < n {
		return fmt.Errorf("ipc: %d bytes of %d were left unread", n-s.pos, n)
	}
	s.src, s.extensions = nil, found[:0]
	if n <= keepBuffer {
		sources.Put(s)
	}
	return nil
}

// decodeAnyMap decodes a map whose Go type is up to the bytes, since it goes into an any: a map[string]any as long as every
// key is a string, and otherwise a map[any]any, where msgpack's own default fails.
func decodeAnyMap(dec *msgpack.Decoder) (any, error) {
	n, err := dec.DecodeMapLen()
	if err != nil {
		return nil, err
	}
	named := make(map[string]any, max(n, 0))
	var mixed map[any]any
	for range n {
		key, err := dec.DecodeInterface()
		if err != nil {
			return nil, err
		}
		value, err := dec.DecodeInterface()
		if err != nil {
			return nil, err
		}
		name, isName := key.(string)
		if mixed == nil && isName {
			named[name] = value
			continue
		}
		if !reflect.ValueOf(&key).Elem().Comparable() {
			return nil, fmt.Errorf("ipc: a %T as the key of a map", key)
		}
		if mixed == nil {
			mixed = make(map[any]any, n)
			for name, value := range named {
				mixed[name] = value
			}
		}
		mixed[key] = value
	}
	if mixed != nil {
		return mixed, nil
	}
	return named, nil
}

// ReadByte refuses to read into the body of an extension.
//
// What is in there was not checked, and a decoder that wants a map and meets an extension takes the body for the map: it
// would believe any length in there, and nest to any depth. Whoever wants an extension reads its body at once, by Read.
func (s *source) ReadByte() (byte, error) {
	if s.pos >= len(s.src) {
		return 0, io.EOF
	}
	for len(s.extensions) > 0 && s.extensions[0] <= s.pos {
		if s.extensions[0] == s.pos {
			return 0, errors.New("ipc: an extension where there should be none")
		}
		s.extensions = s.extensions[1:]
	}
	b := s.src[s.pos]
	s.pos++
	return b, nil
}

// UnreadByte takes back a ReadByte.
func (s *source) UnreadByte() error {
	if s.pos == 0 {
		return io.ErrNoProgress
	}
	s.pos--
	return nil
}

func (s *source) Read(p []byte) (int, error) {
	if s.pos >= len(s.src) && len(p) > 0 {
		return 0, io.EOF
	}
	n := copy(p, s.src[s.pos:])
	s.pos += n
	return n, nil
}

// containPanic turns a panic into an error. It is called by defer.
func containPanic(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %v", r)
	}
}
