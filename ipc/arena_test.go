package ipc_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// sharedPage is memory for an arena of size bytes, at an address that a mapping would have.
func sharedPage(size int) []byte {
	words := make([]uint64, ipc.ArenaMemory(size)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 8*len(words))
}

// arenas are both sides of one.
func arenas(t *testing.T, size int) (host, worker *ipc.Arena, mem []byte) {
	t.Helper()
	mem = sharedPage(size)
	host, err := ipc.NewHostArena(mem)
	require.NoError(t, err)
	worker, err = ipc.NewWorkerArena(mem)
	require.NoError(t, err)
	return host, worker, mem
}

const halfArena = 2 * ipc.MinShared

func repeated(n int, with byte) []byte { return bytes.Repeat([]byte{with}, n) }

func TestMemoryThatIsNoArena(t *testing.T) {
	mem := sharedPage(2 * halfArena)
	for _, bad := range [][]byte{nil, mem[:4096], mem[:4096+ipc.MinShared], mem[:len(mem)-64], mem[:len(mem)-1], mem[4:]} {
		_, err := ipc.NewHostArena(bad)
		require.Error(t, err, "%d bytes", len(bad))
		_, err = ipc.NewWorkerArena(bad)
		require.Error(t, err, "%d bytes", len(bad))
	}
}

// The layout is that of PROTOCOL.md: a worker in another language reads it.
func TestLayoutOfAnArena(t *testing.T) {
	host, worker, mem := arenas(t, 2*halfArena)
	p, ok := host.PutArgument(1, []byte("argument"))
	require.True(t, ok)
	assert.Equal(t, ipc.Place{Offset: 4096, Len: 8}, p)
	assert.Equal(t, "argument", string(mem[4096:4096+8]))
	p, ok = worker.PutResult(1, []byte("result"))
	require.True(t, ok)
	assert.Equal(t, ipc.Place{Offset: 4096 + halfArena, Len: 6}, p)
	assert.Equal(t, "result", string(mem[4096+halfArena:4096+halfArena+6]))
	host.Take(7)
	assert.EqualValues(t, 7, binary.NativeEndian.Uint64(mem))
}

func TestWhatIsPutIsThereForTheOtherSide(t *testing.T) {
	host, worker, _ := arenas(t, 2*halfArena)
	p, ok := host.PutArgument(1, repeated(50_000, 'a'))
	require.True(t, ok)
	got, err := worker.Argument(p)
	require.NoError(t, err)
	assert.Equal(t, repeated(50_000, 'a'), got)
	p, ok = worker.PutResult(1, repeated(60_000, 'r'))
	require.True(t, ok)
	got, err = host.Result(p)
	require.NoError(t, err)
	assert.Equal(t, repeated(60_000, 'r'), got)
}

func TestAnArenaIsFullUntilTheOldestIsFreed(t *testing.T) {
	host, worker, _ := arenas(t, 2*halfArena)
	_, ok := host.PutArgument(1, repeated(halfArena+1, 'a'))
	require.False(t, ok, "more than there is")
	for id := uint64(1); id <= 2; id++ {
		_, ok = host.PutArgument(id, repeated(halfArena/2, 'a'))
		require.True(t, ok)
		_, ok = worker.PutResult(id, repeated(halfArena/2, 'r'))
		require.True(t, ok)
	}
	_, ok = host.PutArgument(3, []byte{1})
	require.False(t, ok)
	require.Nil(t, worker.RoomForResult(1))
	host.Answered(1)
	host.Take(1)
	p, ok := host.PutArgument(3, repeated(halfArena/2, 'b'))
	require.True(t, ok)
	assert.EqualValues(t, 4096, p.Offset, "it begins again")
	p, ok = worker.PutResult(3, repeated(halfArena/2, 's'))
	require.True(t, ok)
	assert.EqualValues(t, 4096+halfArena, p.Offset, "it begins again")
	_, ok = host.PutArgument(4, []byte{1})
	require.False(t, ok)
	host.Answered(3)
	host.Take(3)
	p, ok = host.PutArgument(4, repeated(halfArena, 'c'))
	require.True(t, ok)
	assert.EqualValues(t, 4096, p.Offset)
	_, ok = worker.PutResult(4, repeated(halfArena, 't'))
	require.True(t, ok)
}

// Memory whose pages are there is used again, instead of all of it in turn.
func TestALoneValueAlwaysLiesAtTheBeginning(t *testing.T) {
	host, worker, _ := arenas(t, 2*halfArena)
	for id := uint64(1); id < 10; id++ {
		p, ok := host.PutArgument(id, repeated(1000, 'a'))
		require.True(t, ok)
		require.EqualValues(t, 4096, p.Offset)
		host.Answered(id)
		p, ok = worker.PutResult(id, repeated(1000, 'r'))
		require.True(t, ok)
		require.EqualValues(t, 4096+halfArena, p.Offset)
		host.Take(id)
	}
}

func TestAResultIsEncodedWhereItWillLie(t *testing.T) {
	host, worker, _ := arenas(t, 2*halfArena)
	_, ok := worker.PutResult(1, repeated(100, 'x'))
	require.True(t, ok)
	text := string(repeated(40_000, 'r'))
	room := worker.RoomForResult(ipc.RoomFor(&text))
	require.NotNil(t, room)
	result, err := ipc.AppendValue(room[:0], &text)
	require.NoError(t, err)
	require.Same(t, &room[0], &result[0], "it was not moved")
	p, ok := worker.PutResult(2, result)
	require.True(t, ok)
	shared, err := host.Result(p)
	require.NoError(t, err)
	require.Same(t, &room[0], &shared[0], "nor copied")
	var got string
	require.NoError(t, ipc.DecodeShared(shared, &got))
	assert.Equal(t, text, got)
}

func TestRoomForTextsAndBytes(t *testing.T) {
	var noText *string
	var noBytes *[]byte
	for want, v := range map[int]any{5: new(""), 8: new("abc"), 7: new([]byte("ab"))} {
		assert.Equal(t, want, ipc.RoomFor(v))
	}
	for _, v := range []any{nil, new(1), new([]int{1}), noText, noBytes} {
		assert.Zero(t, ipc.RoomFor(v))
	}
}

// Whatever the other side says, nothing outside its half is read.
func TestPlacesThatAreNotTheOtherSides(t *testing.T) {
	host, worker, _ := arenas(t, 2*halfArena)
	const results, end = 4096 + halfArena, 4096 + 2*halfArena
	for _, p := range []ipc.Place{
		{0, 1}, {4096, 1}, {results - 1, 1}, {results - 1, 2}, {end, 1}, {end - 1, 2}, {results, halfArena + 1}, {end + 1, 0},
		{^uint64(0), 1}, {results, ^uint64(0)}, {^uint64(0), ^uint64(0)}, {1 << 63, 1 << 63},
	} {
		_, err := host.Result(p)
		require.ErrorIs(t, err, ipc.ErrProtocol, "%v", p)
	}
	for _, p := range []ipc.Place{{0, 1}, {4095, 2}, {results, 1}, {results - 1, 2}, {4096, halfArena + 1}, {4096, ^uint64(0)}} {
		_, err := worker.Argument(p)
		require.ErrorIs(t, err, ipc.ErrProtocol, "%v", p)
	}
	for _, p := range []ipc.Place{{results, halfArena}, {end, 0}} {
		_, err := host.Result(p)
		require.NoError(t, err, "%v", p)
	}
}

// The pieces given out never overlap, and are never given out again before they are freed.
func TestPiecesNeverOverlap(t *testing.T) {
	const half = 8 * halfArena
	host, worker, _ := arenas(t, 2*half)
	random := rand.New(rand.NewPCG(1, 2))
	type piece struct {
		id    uint64
		place ipc.Place
	}
	var out []piece
	refused := 0
	for id := uint64(1); id < 20_000; id++ {
		p, ok := host.PutArgument(id, repeated(1+random.IntN(half/4), byte(id)))
		if ok {
			out = append(out, piece{id, p})
		} else {
			refused++
		}
		for len(out) > 0 && random.IntN(5) < 2 {
			n := 1 + random.IntN(min(len(out), 3))
			for _, o := range out[:n] {
				b, err := worker.Argument(o.place)
				require.NoError(t, err)
				require.Equal(t, byte(o.id), b[0])
				require.Equal(t, byte(o.id), b[len(b)-1])
				require.Equal(t, len(b), bytes.Count(b, []byte{byte(o.id)}), "somebody has written into the argument of call %d", o.id)
			}
			host.Answered(out[n-1].id)
			out = out[n:]
		}
	}
	assert.Positive(t, refused, "it was never full: the test says nothing")
}

// Types whose decoding reads a byte more than once get bytes of their own.
func TestDecodeShared(t *testing.T) {
	type record struct{ Name string }
	for _, v := range []any{new("text"), new([]byte("bytes")), new(7), &record{"a"}} {
		encoded, err := ipc.AppendValue(nil, v)
		require.NoError(t, err)
		switch v := v.(type) {
		case *string:
			got := new(string)
			require.NoError(t, ipc.DecodeShared(encoded, got))
			assert.Equal(t, v, got)
		case *[]byte:
			got := new([]byte)
			require.NoError(t, ipc.DecodeShared(encoded, got))
			assert.Equal(t, v, got)
			clear(encoded)
			assert.Equal(t, v, got, "it aliases the arena")
		case *int:
			got := new(int)
			require.NoError(t, ipc.DecodeShared(encoded, got))
			assert.Equal(t, v, got)
		case *record:
			got := new(record)
			require.NoError(t, ipc.DecodeShared(encoded, got))
			assert.Equal(t, v, got)
		}
		require.Error(t, ipc.DecodeShared(append(encoded, 0xC0), v), "bytes after the end")
		require.Error(t, ipc.DecodeShared(nil, v))
	}
}

// spoilt is shared with a hostile worker, which still writes there.
var spoilt []byte

// spoiler spoils it as it is decoded.
type spoiler struct{}

func (*spoiler) UnmarshalMsgpack([]byte) error {
	clear(spoilt)
	return nil
}

func TestWhatIsSharedIsCopiedBeforeItIsDecoded(t *testing.T) {
	var err error
	spoilt, err = ipc.AppendValue(nil, &struct{ First, Second string }{"a", "b"})
	require.NoError(t, err)
	var got struct {
		First  spoiler
		Second string
	}
	require.NoError(t, ipc.DecodeShared(spoilt, &got))
	assert.Equal(t, "b", got.Second)
}
