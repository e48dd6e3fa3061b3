package ipc_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

const frameHead = "\xc1cf\x01"

// frame is body as a worker in another language would frame it.
func frame(body string) string {
	return frameHead + string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + body
}

// declared is a header without its body.
func declared(n uint32) string { return frameHead + string(binary.BigEndian.AppendUint32(nil, n)) }

func TestReaderReadsFramesWholeHoweverTheyArrive(t *testing.T) {
	bodies := []string{"a", "", strings.Repeat("b", 100), strings.Repeat("c", 1<<16), strings.Repeat("d", 1<<20), strings.Repeat("e", 5<<20), "f", strings.Repeat("g", 3<<20)}
	var stream strings.Builder
	for _, b := range bodies {
		stream.WriteString(frame(b))
	}
	for name, arriving := range map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"by the half":  iotest.HalfReader,
		"with the end": iotest.DataErrReader,
		"byte by byte": func(r io.Reader) io.Reader { return iotest.OneByteReader(r) },
	} {
		t.Run(name, func(t *testing.T) {
			r := ipc.NewReader(arriving(strings.NewReader(stream.String())), 5<<20)
			for i, want := range bodies {
				got, err := r.Next()
				require.NoError(t, err, "frame %d", i)
				require.Equal(t, want, string(got), "frame %d", i)
			}
			for range 2 {
				_, err := r.Next()
				require.Equal(t, io.EOF, err, "exactly: the stream ends between two frames")
			}
		})
	}
}

func TestReaderTellsACutFrameFromACleanEnd(t *testing.T) {
	whole := frame("body")
	for cut := 1; cut < len(whole); cut++ {
		for before := range 2 {
			r := ipc.NewReader(strings.NewReader(strings.Repeat(whole, before)+whole[:cut]), 1<<20)
			for range before {
				_, err := r.Next()
				require.NoError(t, err)
			}
			_, err := r.Next()
			require.Equal(t, io.ErrUnexpectedEOF, err, "after %d bytes", cut)
			require.NotErrorIs(t, err, ipc.ErrProtocol, "a crash in the middle of a write is no breach")
		}
	}
}

func TestReaderPassesOnTheErrorOfItsSource(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, prefix := range []string{"", frame("body")[:3], frame("body")[:10]} {
		r := ipc.NewReader(io.MultiReader(strings.NewReader(prefix), iotest.ErrReader(broken)), 1<<20)
		_, err := r.Next()
		require.ErrorIs(t, err, broken, "after %q", prefix)
	}
}

func TestReaderNamesStrayBytes(t *testing.T) {
	for _, stray := range []string{
		"panic: oh no\n\ngoroutine 1 [running]:\n", "x", "\n", "\x00\x00\x00\x00\x00\x00\x00\x00", "\xc1cf\x02\x00\x00\x00\x00", "\xc1CF\x01", "\xc1c\n",
	} {
		for _, before := range []string{"", frame("body")} {
			r := ipc.NewReader(strings.NewReader(before+stray), 1<<20)
			if before != "" {
				_, err := r.Next()
				require.NoError(t, err)
			}
			_, err := r.Next()
			require.ErrorIs(t, err, ipc.ErrProtocol, "%q", stray)
			require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
			require.ErrorContains(t, err, strings.Trim(strconv.Quote(stray), `"`))
		}
	}
	r := ipc.NewReader(strings.NewReader(strings.Repeat("noise ", 10_000)), 1<<20)
	_, err := r.Next()
	require.ErrorIs(t, err, ipc.ErrProtocol)
	assert.Less(t, len(err.Error()), 200)
}

// Whoever writes "\n" into the pipe and falls silent must not keep the host waiting for the rest of a header.
func TestReaderDoesNotWaitForMoreStrayBytes(t *testing.T) {
	for _, stray := range []string{"x", "\xc1x", "\xc1cf\x02"} {
		theirs, ours := io.Pipe()
		go func() { // ends with the Write, and leaves the pipe open
			_, _ = ours.Write([]byte(stray))
		}()
		_, err := ipc.NewReader(theirs, 1<<20).Next()
		require.ErrorIs(t, err, ipc.ErrProtocol)
		require.NoError(t, theirs.Close())
	}
}

func TestReaderRefusesBodiesOverTheLimit(t *testing.T) {
	r := ipc.NewReader(strings.NewReader(frame("12345678")+frame("123456789")), 8)
	_, err := r.Next()
	require.NoError(t, err, "the limit itself is allowed")
	_, err = r.Next()
	require.ErrorIs(t, err, ipc.ErrProtocol)
	var tooLarge *ipc.TooLargeError
	require.ErrorAs(t, err, &tooLarge)
	assert.Equal(t, ipc.TooLargeError{Len: 9, Max: 8}, *tooLarge)

	r = ipc.NewReader(strings.NewReader(frame("1")+frame("123456789")), 8)
	_, err = r.Next()
	require.NoError(t, err)
	r.SetLimit(9)
	_, err = r.Next()
	require.NoError(t, err)
}

// A length alone costs nothing: what is allocated follows what arrived.
func TestReaderAllocatesNoMoreThanArrives(t *testing.T) {
	for _, c := range []struct{ sent, most int }{{0, 3 << 20}, {10, 3 << 20}, {2 << 20, 12 << 20}, {20 << 20, 90 << 20}} {
		stream := declared(1<<30) + strings.Repeat("x", c.sent)
		allocated := allocatedBy(func() {
			_, err := ipc.NewReader(strings.NewReader(stream), 1<<30).Next()
			require.Equal(t, io.ErrUnexpectedEOF, err)
		})
		assert.Less(t, allocated, uint64(c.most), "%d bytes had arrived", c.sent)
	}
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestReaderReusesItsBuffer(t *testing.T) {
	small := frame(strings.Repeat("x", 1000))
	r := ipc.NewReader(strings.NewReader(strings.Repeat(small, 2000)), 1<<20)
	_, err := r.Next()
	require.NoError(t, err)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		if _, err := r.Next(); err != nil {
			t.Error(err)
		}
	}))
}

// A reader that waits holds no large buffer: it may wait for hours.
func TestReaderLetsGoOfALargeBufferBeforeItWaits(t *testing.T) {
	for size, want := range map[int]bool{1 << 20: true, 8 << 20: false} {
		var body weak.Pointer[byte]
		var held bool
		r := ipc.NewReader(&dryReader{strings.NewReader(frame(strings.Repeat("x", size))), func() {
			runtime.GC()
			held = body.Value() != nil
		}}, 1<<30)
		func() {
			b, err := r.Next()
			require.NoError(t, err)
			body = weak.Make(&b[0])
		}()
		_, err := r.Next()
		require.Equal(t, io.EOF, err)
		assert.Equal(t, want, held, "a buffer of %d bytes", size)
	}
}

// dryReader tells when a reader would have to wait.
type dryReader struct {
	r   io.Reader
	dry func()
}

func (d *dryReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err == io.EOF {
		d.dry()
	}
	return n, err
}

func TestBufferedIsWhatCanBeReadWithoutWaiting(t *testing.T) {
	r := ipc.NewReader(strings.NewReader(frame("1")+frame("22")), 8)
	_, err := r.Next()
	require.NoError(t, err)
	assert.Equal(t, len(frame("22")), r.Buffered())
	_, err = r.Next()
	require.NoError(t, err)
	assert.Zero(t, r.Buffered())
}

// FuzzReader feeds a reader what a hostile worker may write, in pieces of any size, and compares with a reference that has
// all of the stream before it.
func FuzzReader(f *testing.F) {
	f.Add([]byte(frame("body")+frame("")), uint16(3), uint16(100))
	f.Add([]byte("panic: oh no\n"), uint16(1), uint16(100))
	f.Add([]byte(declared(1<<32-1)), uint16(0), uint16(100))
	f.Add([]byte(frame("body")+declared(50)+"short"), uint16(7), uint16(60))
	f.Add([]byte(frame("body")+"\xc1c"), uint16(2), uint16(60))
	f.Add([]byte("\xc1c?"), uint16(1), uint16(60))
	f.Add(append([]byte(declared(70_000)), make([]byte, 70_010)...), uint16(4096), uint16(65_535))
	f.Fuzz(func(t *testing.T, stream []byte, step, limit uint16) {
		r := ipc.NewReader(&stepReader{bytes.NewReader(stream), int(step) + 1}, uint32(limit)*2)
		rest := stream
		for {
			body, err := r.Next()
			want, left, wantErr := nextFrame(rest, uint32(limit)*2)
			if wantErr != nil {
				if errors.Is(wantErr, ipc.ErrProtocol) {
					require.ErrorIs(t, err, ipc.ErrProtocol)
					require.Less(t, len(err.Error()), 1000)
				} else {
					require.Equal(t, wantErr, err)
				}
				return
			}
			require.NoError(t, err)
			require.Equal(t, string(want), string(body))
			rest = left
		}
	})
}

// nextFrame says what PROTOCOL.md says.
func nextFrame(stream []byte, limit uint32) (body, rest []byte, err error) {
	n := min(len(stream), len(frameHead))
	switch {
	case len(stream) == 0:
		return nil, nil, io.EOF
	case string(stream[:n]) != frameHead[:n]:
		return nil, nil, ipc.ErrProtocol
	case len(stream) < 8:
		return nil, nil, io.ErrUnexpectedEOF
	}
	size := binary.BigEndian.Uint32(stream[4:])
	switch {
	case size > limit:
		return nil, nil, ipc.ErrProtocol
	case uint64(size) > uint64(len(stream)-8):
		return nil, nil, io.ErrUnexpectedEOF
	}
	return stream[8 : 8+size], stream[8+size:], nil
}

// stepReader yields step bytes at a time.
type stepReader struct {
	r    io.Reader
	step int
}

func (s *stepReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.step)]) }
