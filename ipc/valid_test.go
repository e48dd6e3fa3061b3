package ipc_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

func TestValid(t *testing.T) {
	for name, c := range map[string]struct {
		src      string
		maxDepth int
		n        int // 0 for invalid
	}{
		"scalar at depth 0":      {"\x01rest", 0, 1},
		"array at depth 0":       {"\x90", 0, 0},
		"empty array":            {"\x90", 1, 1},
		"siblings do not add up": {"\x93\x90\x80\x91\x01", 2, 5},
		"last child counts":      {"\x91\x91\x90", 2, 0},
		"map":                    {"\x82\x01\x02\x03\x91\x04!", 2, 6},
		"map without a value":    {"\x81\x01", 1, 0},
		"fixext 16":              {"\xd8\x01" + strings.Repeat("\xc1", 16), 0, 18},
		"fixext 16 cut":          {"\xd8\x01" + strings.Repeat("\xc1", 15), 0, 0},
		"ext 8 of nothing":       {"\xc7\x00\x01", 0, 3},
		"ext 16":                 {"\xc8\x00\x02\x01ab", 0, 6},
		"bin 16":                 {"\xc5\x00\x02ab", 0, 5},
		"text 32 cut in head":    {"\xdb\x00\x00\x00", 0, 0},
		"double":                 {"\xcb12345678", 0, 9},
		"never used":             {"\xc1", 0, 0},
		"nothing":                {"", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := ipc.Valid([]byte(c.src), c.maxDepth)
			assert.Equal(t, c.n, n)
			assert.Equal(t, c.n == 0, err != nil, "%v", err)
		})
	}
}

func TestValidAllocatesNothingForADeclaredLength(t *testing.T) {
	text, err := msgpack.Marshal(make([]byte, 1<<20))
	require.NoError(t, err)
	wide := append([]byte{0xdd, 0, 1, 0, 0}, bytes.Repeat([]byte{0x91, 0x01}, 1<<16)...)
	assert.Zero(t, testing.AllocsPerRun(10, func() { _, err = ipc.Valid(text, 1) }))
	require.NoError(t, err)
	assert.Zero(t, testing.AllocsPerRun(10, func() { _, err = ipc.Valid(wide, 2) }))
	require.NoError(t, err)
}

func FuzzValid(f *testing.F) {
	f.Add([]byte("\x93\x90\x80\x91\x01"), uint8(2))
	f.Add([]byte("\xdf\xff\xff\xff\xff\x01"), uint8(2))
	f.Add([]byte("\xc9\x00\x00\x00\x01\x05\x00"), uint8(0))
	for first := range 256 {
		f.Add(append([]byte{byte(first)}, make([]byte, 20)...), uint8(1))
	}
	f.Fuzz(func(t *testing.T, src []byte, maxDepth uint8) {
		n, err := ipc.Valid(src, int(maxDepth))
		want := slowLen(src, int(maxDepth))
		if want < 0 {
			want = 0
		}
		if n != want || (err == nil) != (want > 0) {
			t.Fatalf("%x: %d %v, want %d", src, n, err, want)
		}
		if err != nil {
			return
		}
		if again, err := ipc.Valid(src[:n], int(maxDepth)); again != n || err != nil {
			t.Fatalf("%x: not valid on its own", src[:n])
		}
		dec := msgpack.NewDecoder(bytes.NewReader(src))
		if raw, err := dec.DecodeRaw(); err != nil || len(raw) != n {
			t.Fatalf("%x: msgpack reads %d bytes, not %d: %v", src, len(raw), n, err)
		}
	})
}

// slowLen is the length of the value that src begins with, by the table of the msgpack specification, or -1.
func slowLen(src []byte, maxDepth int) int {
	if len(src) == 0 {
		return -1
	}
	sized := func(lenBytes, extra int) int {
		if len(src) < 1+lenBytes {
			return math.MaxInt
		}
		n := int64(0)
		for _, b := range src[1 : 1+lenBytes] {
			n = n<<8 + int64(b)
		}
		return 1 + lenBytes + extra + int(min(n, 1<<28)) // more than there can be, and twice that is a number everywhere
	}
	size := 0
	switch b := src[0]; {
	case b <= 0x7f, b >= 0xe0, b == 0xc0, b == 0xc2, b == 0xc3:
		size = 1
	case b <= 0x8f:
		return slowItems(src, 1, 2*int(b-0x80), maxDepth)
	case b <= 0x9f:
		return slowItems(src, 1, int(b-0x90), maxDepth)
	case b == 0xdc:
		return slowItems(src, 3, sized(2, 0)-3, maxDepth)
	case b == 0xdd:
		return slowItems(src, 5, sized(4, 0)-5, maxDepth)
	case b == 0xde:
		return slowItems(src, 3, 2*(sized(2, 0)-3), maxDepth)
	case b == 0xdf:
		return slowItems(src, 5, 2*(sized(4, 0)-5), maxDepth)
	case b <= 0xbf:
		size = 1 + int(b-0xa0)
	case b == 0xc1:
		return -1
	default:
		size = map[byte]int{
			0xc4: sized(1, 0), 0xc5: sized(2, 0), 0xc6: sized(4, 0),
			0xc7: sized(1, 1), 0xc8: sized(2, 1), 0xc9: sized(4, 1),
			0xca: 5, 0xcb: 9, 0xcc: 2, 0xcd: 3, 0xce: 5, 0xcf: 9, 0xd0: 2, 0xd1: 3, 0xd2: 5, 0xd3: 9,
			0xd4: 3, 0xd5: 4, 0xd6: 6, 0xd7: 10, 0xd8: 18,
			0xd9: sized(1, 0), 0xda: sized(2, 0), 0xdb: sized(4, 0),
		}[b]
	}
	if size > len(src) {
		return -1
	}
	return size
}

func slowItems(src []byte, at, items, maxDepth int) int {
	if maxDepth == 0 || at > len(src) {
		return -1
	}
	for range items {
		n := slowLen(src[at:], maxDepth-1)
		if n < 0 {
			return -1
		}
		at += n
	}
	return at
}
