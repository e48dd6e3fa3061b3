package segments

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// module is a module of these segments, between two custom sections.
func module(extra []byte, all ...segment) []byte {
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = append(m, 0, 2, 1, 'a')
	m = append(m, extra...)
	m = append(m, encode(all)...)
	return append(m, 0, 2, 1, 'z')
}

// memory is what a memory of so many bytes holds once the segments of a module are in it, and how many there are.
func memory(t *testing.T, m []byte, size int) ([]byte, int) {
	t.Helper()
	start := slices.Index(m, dataSection)
	length, n := uint32At(m[start+1:])
	all, err := parse(m[start+1+n : start+1+n+int(length)])
	require.NoError(t, err)
	b := make([]byte, size)
	for _, s := range all {
		copy(b[s.at:], s.bytes)
	}
	return b, len(all)
}

func TestMergingDoesNotBlowUpAModule(t *testing.T) {
	var all []segment
	for i := range uint32(10_000) {
		all = append(all, segment{i * 1000, []byte{1}})
	}
	before := module(nil, all...)
	after := Merge(before)
	assert.Less(t, len(after), 2*len(before)+freeZeros+1000)
	want, _ := memory(t, before, 10_000_000)
	got, _ := memory(t, after, 10_000_000)
	require.True(t, slices.Equal(want, got))
}

func TestMergedSegmentsHoldTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var all []segment
		at := 0
		for at < 60_000 {
			at += random.IntN(1 << random.IntN(13))
			bytes := make([]byte, random.IntN(1<<random.IntN(8)))
			for i := range bytes {
				bytes[i] = byte(random.Int())
			}
			all = append(all, segment{uint32(at), bytes})
			at += len(bytes)
		}
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		before := module(nil, all...)
		after := Merge(before)
		want, n := memory(t, before, 1<<17)
		got, fewer := memory(t, after, 1<<17)
		require.Equal(t, want, got)
		require.LessOrEqual(t, fewer, n)
		require.Equal(t, "\x00\x02\x01z", string(after[len(after)-4:]), "what follows stays")
		assert.Equal(t, after, Merge(after), "once is enough")
	}
}

func TestNearSegmentsBecomeOneAndFarOnesDoNot(t *testing.T) {
	_, n := memory(t, Merge(module(nil, segment{1 << 20, []byte("far")}, segment{10, []byte("near")}, segment{16, []byte("by")})), 1<<21)
	assert.Equal(t, 2, n)
	high := module(nil, segment{1<<32 - 8, []byte("top")})
	assert.Equal(t, high, Merge(high), "the place is unsigned")
}

func TestWhatCannotBeMergedStays(t *testing.T) {
	count := []byte{dataCountSection, 1, 2}
	overlapping := []segment{{10, []byte("long text")}, {12, []byte("x")}}
	passive := append([]byte("\x00asm\x01\x00\x00\x00"), dataSection, 4, 1, 1, 1, 'x')
	for _, m := range [][]byte{nil, []byte("\x00asm"), module(count, segment{1, []byte("a")}, segment{3, []byte("b")}), module(nil, overlapping...), passive} {
		assert.Equal(t, m, Merge(m))
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(module(nil, segment{10, []byte("near")}, segment{16, []byte("by")}))
	f.Add(binary.AppendUvarint([]byte("\x00asm\x01\x00\x00\x00\x0b"), 1<<40))
	f.Fuzz(func(t *testing.T, m []byte) {
		merged := Merge(m)
		assert.Equal(t, merged, Merge(merged))
	})
}
