package ipc_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// The commonest types go by msgpack no longer. These tests hold what becomes of them against msgpack, which has not changed: its own encoder
// and decoder, and this package's way to them, which types take that are not the very ones, though of the same kind.
type (
	kindBool    bool
	kindInt     int
	kindInt64   int64
	kindUint64  uint64
	kindFloat64 float64
	kindString  string
	kindBytes   []byte
)

// comparable values: a NaN is itself, bit by bit, and nil bytes are not empty ones.
func exactly(v any) any {
	if f, ok := v.(float64); ok {
		return math.Float64bits(f)
	}
	return v
}

// encodesLikeMsgpack requires that v gets the very bytes that msgpack has for it, and that they are v again.
func encodesLikeMsgpack[T, Kind any](t testing.TB, v T) {
	t.Helper()
	var want bytes.Buffer
	enc := msgpack.NewEncoder(&want)
	enc.UseCompactInts(true)
	require.NoError(t, enc.Encode(v))
	got, err := ipc.AppendValue([]byte("before"), &v)
	require.NoError(t, err)
	got, found := bytes.CutPrefix(got, []byte("before"))
	require.True(t, found)
	require.True(t, bytes.Equal(want.Bytes(), got), "%T %.50v: %.50x, want %.50x", v, v, got, want.Bytes())

	kind := reflect.ValueOf(v).Convert(reflect.TypeFor[Kind]()).Interface().(Kind)
	other, err := ipc.AppendValue(nil, &kind)
	require.NoError(t, err)
	require.True(t, bytes.Equal(other, got), "%T and %T", v, kind)

	var back T
	require.NoError(t, ipc.DecodeValue(got, &back))
	require.Equal(t, exactly(v), exactly(back))
	decodesLikeMsgpack[T, Kind](t, got, v)
}

// decodeFirst decodes the first of several values, and says how long it is.
func decodeFirst(src []byte, into any) (n int, err error) {
	first, rest, err := ipc.CutValue(src)
	if err == nil {
		err = ipc.DecodeValue(first, into)
	}
	return len(src) - len(rest), err
}

// decodesLikeMsgpack requires that src is to T what it is to msgpack: the same value, or none. into is what the target holds before.
func decodesLikeMsgpack[T, Kind any](t testing.TB, src []byte, into T) {
	t.Helper()
	require.NotEqual(t, reflect.TypeFor[T](), reflect.TypeFor[Kind]())
	kept := bytes.Clone(src)
	var got T
	n, err := decodeFirst(src, &got)

	var kind Kind
	m, kindErr := decodeFirst(src, &kind)
	require.Equal(t, kindErr == nil, err == nil, "%x into %T: %v, and into %T: %v", src, got, err, kind, kindErr)
	require.Equal(t, m, n, "%x into %T", src, got)

	var want T
	r := bytes.NewReader(src)
	if _, invalid := ipc.Valid(src, ipc.MaxDepth); invalid != nil {
		require.Error(t, err, "%x into %T", src, got) // msgpack says so too, but allocates a megabyte for what is not there
	} else {
		wantErr := msgpack.NewDecoder(r).Decode(&want)
		require.Equal(t, wantErr == nil, err == nil, "%x into %T: %v, and by msgpack: %v", src, got, err, wantErr)
	}

	whole := ipc.DecodeValue(src, new(T))
	require.Equal(t, err == nil && n == len(src), whole == nil, "%x into %T: %v", src, got, whole)
	if whole != nil {
		require.ErrorIs(t, whole, futures.ErrNotShareable)
	}
	if err != nil {
		require.ErrorIs(t, err, futures.ErrNotShareable)
		require.Equal(t, kept, src, "left alone")
		return
	}
	require.Equal(t, len(src)-r.Len(), n, "%x into %T", src, got)
	require.Equal(t, exactly(want), exactly(got), "%x", src)
	require.Equal(t, exactly(want), exactly(reflect.ValueOf(kind).Convert(reflect.TypeFor[T]()).Interface()), "%x", src)

	_, err = decodeFirst(src, &into)
	require.NoError(t, err)
	require.Equal(t, exactly(want), exactly(into), "%x: whatever was there before", src)

	var behind *T
	_, err = decodeFirst(src, &behind)
	require.NoError(t, err, "%x by a pointer", src)
	if src[0] == 0xC0 {
		require.Nil(t, behind)
	} else {
		require.Equal(t, exactly(want), exactly(*behind), "%x by a pointer", src)
	}
	require.Equal(t, kept, src, "left alone")

	for i := range src {
		src[i] ^= 0xFF // the next message arrives
	}
	require.Equal(t, exactly(want), exactly(got), "%x: it outlives the buffer", kept)
	require.Equal(t, exactly(want), exactly(into), "%x: it outlives the buffer", kept)
	copy(src, kept)
}

// allDecodeLikeMsgpack decodes src into each of the types.
func allDecodeLikeMsgpack(t testing.TB, src []byte) {
	t.Helper()
	decodesLikeMsgpack[bool, kindBool](t, src, true)
	decodesLikeMsgpack[int, kindInt](t, src, -1)
	decodesLikeMsgpack[int64, kindInt64](t, src, -1)
	decodesLikeMsgpack[uint64, kindUint64](t, src, 1)
	decodesLikeMsgpack[float64, kindFloat64](t, src, 1.5)
	decodesLikeMsgpack[string, kindString](t, src, "before")
	decodesLikeMsgpack[[]byte, kindBytes](t, src, bytes.Repeat([]byte("before"), 10))
}

// numbersEncodeLikeMsgpack encodes n as each of the types of numbers.
func numbersEncodeLikeMsgpack(t testing.TB, n uint64) {
	t.Helper()
	encodesLikeMsgpack[int, kindInt](t, int(n))
	encodesLikeMsgpack[int64, kindInt64](t, int64(n))
	encodesLikeMsgpack[uint64, kindUint64](t, n)
	encodesLikeMsgpack[float64, kindFloat64](t, math.Float64frombits(n))
	encodesLikeMsgpack[float64, kindFloat64](t, float64(int64(n)))
}

func TestNumbersAtEveryBoundaryAreThoseOfMsgpack(t *testing.T) {
	for bit := range 64 {
		for distance := range uint64(3) {
			n := uint64(1)<<bit + distance - 1
			numbersEncodeLikeMsgpack(t, n)
			numbersEncodeLikeMsgpack(t, -n)
		}
	}
	for n := range uint64(40) { // the shortest form ends at -32
		numbersEncodeLikeMsgpack(t, -n)
	}
	for _, f := range []float64{
		0, math.Copysign(0, -1), 1.5, math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(0x7FF0000000000001), math.Float64frombits(math.MaxUint64),
		math.MaxFloat64, math.SmallestNonzeroFloat64, math.MaxFloat32, 1 << 53,
	} {
		encodesLikeMsgpack[float64, kindFloat64](t, f)
	}
	encodesLikeMsgpack[bool, kindBool](t, true)
	encodesLikeMsgpack[bool, kindBool](t, false)
}

func TestTextsOfEveryLengthAreThoseOfMsgpack(t *testing.T) {
	for _, n := range []int{0, 1, 2, 15, 16, 30, 31, 32, 33, 127, 128, 254, 255, 256, 257, math.MaxUint16 - 1, math.MaxUint16, math.MaxUint16 + 1} {
		for _, letter := range []string{"x", "\x00", "\xff", "\xc1"} {
			text := strings.Repeat(letter, n)
			encodesLikeMsgpack[string, kindString](t, text)
			encodesLikeMsgpack[[]byte, kindBytes](t, []byte(text))
		}
	}
	encodesLikeMsgpack[string, kindString](t, "世界")
	encodesLikeMsgpack[[]byte, kindBytes](t, nil)
}

func TestRandomScalarsAreThoseOfMsgpack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := random.Uint64() >> random.IntN(64)
		numbersEncodeLikeMsgpack(t, n)
		numbersEncodeLikeMsgpack(t, -n)
		text := make([]byte, random.IntN(400))
		for i := range text {
			text[i] = byte(random.Uint32())
		}
		encodesLikeMsgpack[string, kindString](t, string(text))
		encodesLikeMsgpack[[]byte, kindBytes](t, text)
		allDecodeLikeMsgpack(t, text)
	}
}

// Every first byte, with all lengths after it that could matter: what is whole, what is cut, and what has more bytes behind it.
func TestBytesAreToScalarsWhatTheyAreToMsgpack(t *testing.T) {
	step := 1
	if raceDetector { // nothing here happens at the same time, and it takes ten times as long
		step = 15
	}
	for first := 0; first < 256; first += step {
		for _, rest := range []string{
			strings.Repeat("\x00", 40), strings.Repeat("\xff", 40), "\x80" + strings.Repeat("\x01", 40), "\x00\x02" + strings.Repeat("\x7f", 40),
			"\x00\x00\x00\x03abcdef", "\x05\x00\x00abcdef", strings.Repeat("\xc0", 40), "\x7f\xf0\x00\x00\x00\x00\x00\x01\x02",
		} {
			for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 31, 32} {
				if n <= len(rest) {
					allDecodeLikeMsgpack(t, append([]byte{byte(first)}, rest[:n]...))
				}
			}
		}
	}
	allDecodeLikeMsgpack(t, nil)
	allDecodeLikeMsgpack(t, []byte{})
}

func TestTextsCutAnywhereAreNoTexts(t *testing.T) {
	for _, n := range []int{1, 31, 32, 255, 256, math.MaxUint16, math.MaxUint16 + 1} {
		text := strings.Repeat("x", n)
		for _, v := range []any{&text, new([]byte(text))} {
			whole, err := ipc.AppendValue(nil, v)
			require.NoError(t, err)
			for _, cut := range []int{0, 1, 2, 3, 4, 5, len(whole) - 2, len(whole) - 1} {
				if cut < len(whole) {
					allDecodeLikeMsgpack(t, whole[:cut:cut])
					require.Error(t, ipc.DecodeValue(whole[:cut:cut], new(string)), "%d of %d bytes", cut, len(whole))
					require.Error(t, ipc.DecodeValue(whole[:cut], new([]byte)), "%d of %d bytes: what is behind is not its own", cut, len(whole))
				}
			}
			allDecodeLikeMsgpack(t, append(whole, 0xC0))
		}
	}
}

func TestNilPointersToScalars(t *testing.T) {
	nilPointers[bool](t)
	nilPointers[int](t)
	nilPointers[int64](t)
	nilPointers[uint64](t)
	nilPointers[float64](t)
	nilPointers[string](t)
	nilPointers[[]byte](t)
}

func nilPointers[T any](t *testing.T) {
	var none *T
	want, err := msgpack.Marshal(none)
	require.NoError(t, err)
	for _, v := range []any{none, &none} {
		got, err := ipc.AppendValue([]byte("before"), v)
		require.NoError(t, err, "%T", v)
		require.Equal(t, "before"+string(want), string(got), "%T", v)
	}
	for _, src := range []string{"", "\x01", "\xc0", "\xc3", "\xa1x", "\xc4\x01x", "\xcb12345678", "\xd3", "\xc1"} {
		require.ErrorIs(t, ipc.DecodeValue([]byte(src), none), futures.ErrNotShareable, "%q into %T", src, none)
	}
	v := new(T)
	require.NoError(t, ipc.DecodeValue([]byte{0xC0}, &v))
	require.Nil(t, v)
}

// The bytes that come back may be appended to: they end where their memory does, or at least not in somebody else's.
func TestDecodedBytesAreTheirOwn(t *testing.T) {
	src := []byte("\xc4\x02ab\xc4\x02cd")
	var first, second []byte
	n, err := decodeFirst(src, &first)
	require.NoError(t, err)
	_, err = decodeFirst(src[n:], &second)
	require.NoError(t, err)
	_ = append(first, "xxxxxxxx"...)
	first[0] = 'X'
	require.Equal(t, "\xc4\x02ab\xc4\x02cd", string(src))
	require.Equal(t, "cd", string(second))
}

// FuzzScalar takes bytes for what they say, and for what they are, and holds both against msgpack.
func FuzzScalar(f *testing.F) {
	for _, seed := range []string{
		"", "\xc0", "\xc2", "\xc3", "\x00", "\x7f", "\xe0", "\xff", "\xcc\xff", "\xcd\xff\xff", "\xce\xff\xff\xff\xff", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
		"\xd0\x80", "\xd1\x80\x00", "\xd2\x80\x00\x00\x00", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", "\xca\x7f\xc0\x00\x00", "\xcb\x7f\xf0\x00\x00\x00\x00\x00\x01",
		"\xa0", "\xa2ab", "\xd9\x02ab", "\xda\x00\x02ab", "\xdb\x00\x00\x00\x02ab", "\xc4\x02ab", "\xc5\x00\x02ab", "\xc6\x00\x00\x00\x02ab", "\xc6\xff\xff\xff\xff",
		"\xc4\x02abc", "\xda\x00", "\xd3\x80", "\x90", "\x91\x01", "\x81\x01\x02", "\xd6\xff\x00\x00\x00\x01", "\xc7\x01\x01\x01", "\xc1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		allDecodeLikeMsgpack(t, bytes.Clone(src))
		var number [8]byte
		copy(number[:], src)
		numbersEncodeLikeMsgpack(t, binary.BigEndian.Uint64(number[:]))
		numbersEncodeLikeMsgpack(t, binary.LittleEndian.Uint64(number[:]))
		encodesLikeMsgpack[string, kindString](t, string(src))
		encodesLikeMsgpack[[]byte, kindBytes](t, src)
		encodesLikeMsgpack[string, kindString](t, fmt.Sprintf("%x", src))
	})
}
