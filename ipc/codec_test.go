package ipc_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

type (
	base  struct{ ID int }
	whole struct {
		base
		*Inner  `msgpack:",noinline"`
		Skipped chan int `msgpack:"-"`
		Renamed string   `msgpack:"r,omitempty"`
		Raw     msgpack.RawMessage
		At      time.Time
		Map     map[int]*base
		hidden  func()
	}
	Inner struct{ V float32 }
	tuple struct {
		_msgpack struct{} `msgpack:",as_array"`
		A        int
		B        string
	}
	list  struct{ Next *list }
	named []list
	tree  map[string]tree
)

func TestRoundTrip(t *testing.T) {
	roundTrip(t, 0)
	roundTrip(t, math.MinInt)
	roundTrip(t, uint64(math.MaxUint64))
	roundTrip(t, int8(-1))
	roundTrip(t, 1.5)
	roundTrip(t, float32(math.Inf(-1)))
	roundTrip(t, true)
	roundTrip(t, "")
	roundTrip(t, strings.Repeat("long ", 100_000))
	roundTrip(t, []byte(nil))
	roundTrip(t, []byte{})
	roundTrip(t, bytes.Repeat([]byte{0xc1}, 1<<20))
	roundTrip(t, [3]byte{1, 2, 3})
	roundTrip(t, []string{"a", ""})
	roundTrip(t, [][]int{{1}, nil, {}})
	roundTrip(t, map[string]map[string]string{"a": {"b": "c"}, "nil": nil})
	roundTrip(t, map[point]bool{{X: 1}: true})
	roundTrip(t, time.Unix(1<<33, 999_999_999))
	roundTrip(t, time.Minute)
	roundTrip(t, big.NewInt(math.MaxInt64))
	roundTrip(t, (*point)(nil))
	roundTrip(t, struct{}{})
	roundTrip(t, tuple{A: 1, B: "b"})
	roundTrip[any](t, nil)
	roundTrip[any](t, map[string]any{})
	roundTrip[any](t, map[any]any{"a": "b", int8(1): []any{map[any]any{true: nil, "t": "f"}}})
	roundTrip[any](t, map[string]any{"list": []any{"a", []byte{1}, nil, true, 1.5}})
	roundTrip[error](t, nil)
	roundTrip(t, list{&list{&list{}}})
	roundTrip(t, tree{"a": {"b": {}}})
	roundTrip(t, whole{
		base: base{7}, Inner: &Inner{2.5}, Renamed: "r", Raw: msgpack.RawMessage{0x92, 1, 2},
		At: time.Unix(1, 0), Map: map[int]*base{1: {2}, 3: nil},
	})
}

func roundTrip[T any](t *testing.T, v T) {
	t.Helper()
	encoded, err := ipc.AppendValue([]byte("before"), &v)
	require.NoError(t, err, "%#v", v)
	encoded, found := bytes.CutPrefix(encoded, []byte("before"))
	require.True(t, found)
	n, err := ipc.Valid(encoded, ipc.MaxDepth)
	require.NoError(t, err)
	require.Equal(t, len(encoded), n)
	var back T
	require.NoError(t, ipc.DecodeValue(encoded, &back), "%#v", v)
	require.Equal(t, v, back)
	assert.ErrorIs(t, ipc.DecodeValue(append(encoded, 0), new(T)), futures.ErrNotShareable, "a trailing byte")
	assert.ErrorIs(t, ipc.DecodeValue(encoded[:len(encoded)-1], new(T)), io.ErrUnexpectedEOF, "a missing byte")
}

func TestDecodedValuesOutliveTheBuffer(t *testing.T) {
	type all struct {
		Bytes []byte
		Text  string
		Texts []string
		Raw   msgpack.RawMessage
		Any   any
		Map   map[string]string
		Anys  map[string]any
		Own   keeper
	}
	long := strings.Repeat("x", 100)
	v := all{
		[]byte(long), long, []string{long}, msgpack.RawMessage{0xa1, 'x'}, []any{[]byte(long), long},
		map[string]string{long: long}, map[string]any{long: []byte(long)}, keeper{[]byte{0xa1, 'x'}},
	}
	buffer, err := ipc.AppendValue(nil, &v)
	require.NoError(t, err)
	var back, other all
	require.NoError(t, ipc.DecodeValue(buffer, &back))
	for i, b := range buffer { // the next message arrives
		buffer[i] = bytes.ToUpper([]byte{b})[0]
	}
	_ = ipc.DecodeValue(buffer, &other)
	require.Equal(t, v, back)
}

// keeper holds on to what it was given to decode.
type keeper struct{ b []byte }

func (k keeper) MarshalMsgpack() ([]byte, error)     { return k.b, nil }
func (k *keeper) UnmarshalMsgpack(data []byte) error { k.b = data; return nil }

type panics struct{ when string }

func (p panics) EncodeMsgpack(*msgpack.Encoder) error {
	if p.when == "encode" {
		panic("no luck")
	}
	return io.ErrClosedPipe
}
func (p *panics) DecodeMsgpack(*msgpack.Decoder) error { panic(io.ErrNoProgress) }

type reads struct{ n int }

func (r *reads) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	for range r.n {
		_, err = d.DecodeInterface()
	}
	return err
}

type (
	pointers  *pointers
	embedding struct{ *embedded }
	embedded  struct{ *embedding }
	interned  struct {
		S string `msgpack:",intern"`
	}
)

func TestWhatCannotBeEncoded(t *testing.T) {
	circle := &list{}
	circle.Next = circle
	loop := map[string]any{}
	loop["self"] = []any{loop}
	var anyLoop any
	anyLoop = &anyLoop
	type inner struct{ Ch chan int }
	for name, c := range map[string]struct {
		v    any
		says string
	}{
		"chan":              {new(chan int), "cannot encode chan int: msgpack: Encode(unsupported chan int)"},
		"func":              {new(func()), "unsupported func()"},
		"complex":           {new(complex64), "unsupported complex64"},
		"uintptr":           {&struct{ P uintptr }{}, "uintptr"},
		"chan inside":       {&inner{}, "cannot encode ipc_test.inner: msgpack: Encode(unsupported chan int)"},
		"func in any":       {ptr[any](func() {}), "unsupported func()"},
		"circle":            {circle, "deeper than 1000"},
		"circle by any":     {&loop, "deeper than 1000"},
		"circle without":    {&anyLoop, "pointers in a row"},
		"pointer type":      {new(pointers), "points to itself"},
		"embedding type":    {new(embedding), "embeds itself"},
		"embedding in any":  {ptr[any](embedding{}), "embeds itself"},
		"intern":            {new(interned), "intern"},
		"panic":             {&panics{"encode"}, "cannot encode ipc_test.panics: panic: no luck"},
		"empty raw":         {&msgpack.RawMessage{}, "not one msgpack value"},
		"empty raw in any":  {ptr[any](msgpack.RawMessage{}), "not one msgpack value"},
		"two values":        {&keeper{[]byte{1, 2}}, "1 bytes after the end"},
		"half a value":      {&[]keeper{{[]byte{0x92}}}, "not one msgpack value"},
		"not a pointer":     {5, "not a pointer"},
		"nothing":           {nil, "not a pointer"},
		"a map's own value": {&map[string]addressed{"a": {}}, "non-addressable"},
	} {
		t.Run(name, func(t *testing.T) {
			dst := append(make([]byte, 0, 100), "before"...)
			out, err := ipc.AppendValue(dst, c.v)
			require.ErrorIs(t, err, futures.ErrNotShareable)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, "before", string(out))
		})
	}
	_, err := ipc.AppendValue(nil, &panics{})
	require.ErrorIs(t, err, io.ErrClosedPipe, "what the method returned")
	require.ErrorIs(t, ipc.DecodeValue([]byte{0x80}, new(pointers)), futures.ErrNotShareable)
	require.ErrorIs(t, ipc.DecodeValue([]byte{0x80}, new(embedding)), futures.ErrNotShareable)
}

type addressed struct{}

func (*addressed) EncodeMsgpack(*msgpack.Encoder) error { return nil }

func ptr[T any](v T) *T { return &v }

func TestHiddenFieldsMayLeadInACircle(t *testing.T) {
	type node struct {
		Name   string
		parent any
		Also   any `msgpack:"-"`
	}
	n := &node{Name: "n"}
	n.parent, n.Also = n, n
	_, err := ipc.AppendValue(nil, n)
	require.NoError(t, err)
}

func TestDepthIsTheSameOnBothSides(t *testing.T) {
	nested := func(depth int) *list {
		var l *list
		for range depth {
			l = &list{l}
		}
		return l
	}
	roundTrip(t, nested(ipc.MaxDepth))
	_, err := ipc.AppendValue(nil, ptr(nested(ipc.MaxDepth+1)))
	require.ErrorContains(t, err, "deeper")
	tooDeep, err := msgpack.Marshal(nested(ipc.MaxDepth + 1))
	require.NoError(t, err)
	require.ErrorContains(t, ipc.DecodeValue(tooDeep, new(list)), "deeper")
}

func TestWhatCannotBeDecoded(t *testing.T) {
	deep := strings.Repeat("\x91", 1<<20) + "\xc0"
	for name, c := range map[string]struct {
		src  string
		into any
		says string
	}{
		"nothing":                  {"", new(int), "unexpected EOF"},
		"no target":                {"\x01", nil, "not a pointer"},
		"nil target":               {"\x01", (*int)(nil), "cannot decode int"},
		"other kind":               {"\xa1x", new(int), "cannot decode int: msgpack: invalid code=a1"},
		"never used byte":          {"\xc1", new(any), "0xc1"},
		"deep any":                 {deep, new(any), "deeper than 1000"},
		"deep skipped":             {"\x81\xa1x" + deep, new(point), "deeper than 1000"},
		"huge array":               {"\xdd\xff\xff\xff\xff", new([]struct{}), "4294967295 values"},
		"huge any array":           {"\xdd\xff\xff\xff\xff", new(any), "4294967295 values"},
		"huge map":                 {"\xdf\xff\xff\xff\xff", new(map[string]any), "8589934590 values"},
		"huge bytes":               {"\xc6\xff\xff\xff\xff", new([]byte), "4294967295 bytes"},
		"huge text":                {"\xdb\xff\xff\xff\xff", new(string), "4294967295 bytes"},
		"huge extension":           {"\xc9\xff\xff\xff\xff\x01", new(any), "4294967296 bytes"},
		"huge map in extension":    {"\xc7\x05\x00\xdf\xff\xff\xff\xff", new(map[string]any), "an extension where"},
		"the same further in":      {"\x81\xa1a\xd7\xff\xdf\xff\xff\xff\xff\x00\x00\x00", new(map[string]map[string]any), "an extension where"},
		"deep map in extension":    {"\xc9\x00\x10\x00\x04\x00\x81\xa1a" + deep, new(map[string]any), "an extension where"},
		"empty extension":          {"\x81\xa1a\xc7\x00\x00", new(tree), "without a body"},
		"unknown extension":        {"\xd4\x42\x00", new(any), "unknown ext id=66"},
		"map key that cannot hash": {"\x81\x90\x01", new(map[any]int), "panic"},
		"the same in any":          {"\x82\xa1a\x01\x90\x01", new(any), "as the key of a map"},
		"nil time":                 {"\x91\xc0", new([]time.Time), "panic"},
		"more elements than room":  {"\x93\x01\x02\x03", new([2]int), "len is 2"},
		"panic":                    {"\x01", new(panics), "panic: " + io.ErrNoProgress.Error()},
		"left unread":              {"\x01", new(reads), "left unread"},
		"read over the end":        {"\x01", &reads{2}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			err := ipc.DecodeValue([]byte(c.src), c.into)
			require.ErrorIs(t, err, futures.ErrNotShareable)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestAnExtensionIsReadWhereOneBelongs(t *testing.T) {
	msgpack.RegisterExt(7, (*extension)(nil))
	t.Cleanup(func() { msgpack.UnregisterExt(7) })
	type both struct {
		Map   map[string]int
		Times []time.Time
		Own   *extension
	}
	roundTrip(t, both{map[string]int{"a": 1}, []time.Time{time.Unix(1, 570_000_000), time.Unix(-1, 1), time.Unix(1<<31, 0)}, &extension{"\x81\xc0"}})
}

type extension struct{ s string }

func (e *extension) MarshalMsgpack() ([]byte, error) { return []byte(e.s), nil }
func (e *extension) UnmarshalMsgpack(b []byte) error { e.s = string(b); return nil }

func TestAFailureLeavesNothingBehind(t *testing.T) {
	for range 100 {
		_, err := ipc.AppendValue(nil, &[]any{1, panics{"encode"}})
		require.Error(t, err)
		require.Error(t, ipc.DecodeValue([]byte{0x92, 1, 2}, &[]panics{{}}))
		require.Error(t, ipc.DecodeValue([]byte{0x91, 0xa1}, new([]keeper)))
		roundTrip(t, point{1, 2, "x"})
	}
}

func TestAllocations(t *testing.T) {
	buffer := make([]byte, 0, 1<<10)
	n, p := math.MaxInt, point{1, -2000, "corner"}
	allocs := func(f func() error) float64 {
		return testing.AllocsPerRun(1000, func() {
			if err := f(); err != nil {
				panic(err)
			}
		})
	}
	appendTo := func(v any) func() error {
		return func() (err error) { _, err = ipc.AppendValue(buffer, v); return err }
	}
	decodeFrom := func(v any) func() error {
		src, err := ipc.AppendValue(nil, v)
		require.NoError(t, err)
		return func() error { return ipc.DecodeValue(src, v) }
	}
	if raceDetector {
		t.Log("the race detector empties pools at random: only run, not counted")
		require.NoError(t, errors.Join(appendTo(&n)(), decodeFrom(&p)()))
		return
	}
	assert.Zero(t, allocs(appendTo(&n)))
	assert.Zero(t, allocs(appendTo(&p)))
	assert.Zero(t, allocs(decodeFrom(&n)))
	assert.LessOrEqual(t, allocs(decodeFrom(&p)), 1.0, "its string")
}

func FuzzDecodeValue(f *testing.F) {
	for _, seed := range []string{
		"\x01", "\x82\xa1X\x01\xa4Name\xa1x", "\xc7\x05\x00\xdf\xff\xff\xff\xff", "\x81\xa1a\xd7\xff\xdf\xff\xff\xff\xff\x00\x00\x00",
		"\xd6\xff\x00\x00\x00\x01", "\x93\xc7\x01\x00\xc0\xdd\xff\xff\xff\xff\xc0", "\x94\x90\x80\xc4\x00\xa0", "\xdc\x00\x02\x81\xa1a\xc0\xc0",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		// The factor is that of the greediest: a map of one entry takes a few hundred bytes, and three on the wire.
		const perByte, fixed = 512, 64 << 10
		for _, into := range []any{
			new(any), new(int), new(string), new([]byte), new(time.Time), new(point), new(whole), new(tuple), new(list), new(named), new(tree),
			new([]any), new([]struct{}), new(map[string]any), new(map[string]string), new(map[any]any), new([][]map[string][]time.Time),
			new(struct {
				_msgpack struct{} `msgpack:",as_array"`
				M        []map[string]any
				A        []any
			}),
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := ipc.DecodeValue(src, into)
			runtime.ReadMemStats(&after)
			if err != nil && !errors.Is(err, futures.ErrNotShareable) {
				t.Fatalf("%T: %v", into, err)
			}
			if got, most := after.TotalAlloc-before.TotalAlloc, uint64(perByte*len(src)+fixed); got > most {
				t.Fatalf("%T: %d bytes allocated for %d", into, got, len(src))
			}
			if err == nil {
				if _, err := ipc.AppendValue(nil, into); err != nil {
					t.Fatalf("%T: decoded and cannot be encoded: %v", into, err)
				}
			}
		}
	})
}
