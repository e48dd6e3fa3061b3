package ipc_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// parse reads the one frame in b and takes it apart.
func parse(t *testing.T, b []byte) ipc.Message {
	t.Helper()
	r := ipc.NewReader(bytes.NewReader(b), ipc.MaxBody)
	body, err := r.Next()
	require.NoError(t, err)
	m, err := ipc.ParseMessage(body)
	require.NoError(t, err)
	require.Zero(t, r.Buffered(), "one frame and nothing more")
	return m
}

// decodeParam reads a struct out of a message.
func decodeParam[T any](t *testing.T, src []byte) (v T) {
	t.Helper()
	require.NoError(t, ipc.DecodeParam(src, &v))
	return v
}

func TestRequestsComeBackAsTheyWere(t *testing.T) {
	for _, id := range []uint64{0, 1, 127, 128, 255, 256, math.MaxUint16, math.MaxUint16 + 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64} {
		for _, name := range []string{"", "f", strings.Repeat("n", 31), strings.Repeat("n", 32), strings.Repeat("n", 1<<16), "名"} {
			for _, meta := range []ipc.Meta{{}, {Timeout: 1}, {Timeout: math.MaxInt64, Deadline: math.MinInt64, Attempt: 7}} {
				b := ipc.AppendRequest([]byte("before"), id, name, meta, []byte{0x93, 1, 2, 3})
				require.True(t, bytes.HasPrefix(b, []byte("before")))
				m := parse(t, b[len("before"):])
				require.Equal(t, ipc.KindRequest, m.Kind)
				require.Equal(t, id, m.ID)
				require.Equal(t, name, string(m.Name))
				require.Equal(t, []byte{0x93, 1, 2, 3}, m.Value)
				if meta == (ipc.Meta{}) {
					require.Empty(t, m.Meta)
				} else {
					require.Equal(t, meta, decodeParam[ipc.Meta](t, m.Meta))
				}
			}
		}
	}
}

// A chunk says in its head how many arguments there are; they follow, one after the other.
func TestChunksComeBackAsTheyWere(t *testing.T) {
	for _, id := range []uint64{1, 127, 128, math.MaxUint16, math.MaxUint16 + 1, math.MaxUint32 + 1, math.MaxUint64} {
		for _, name := range []string{"", "f", strings.Repeat("n", 32), strings.Repeat("n", 1<<16), "名"} {
			for _, meta := range []ipc.Meta{{}, {Timeout: 1}, {Timeout: math.MaxInt64, Deadline: math.MinInt64, Attempt: 7}} {
				for _, calls := range []int{1, 2, 15, 16, 255, 256, ipc.MaxChunk} {
					args := bytes.Repeat([]byte{0xCC, 0xFF}, calls)
					b := ipc.AppendChunkHead([]byte("before"), id, name, meta, calls, len(args))
					require.True(t, bytes.HasPrefix(b, []byte("before")))
					m := parse(t, append(b, args...)[len("before"):])
					require.Equal(t, []any{ipc.KindChunk, id, name, calls}, []any{m.Kind, m.ID, string(m.Name), m.Calls})
					require.True(t, bytes.Equal(args, m.Value))
					if meta == (ipc.Meta{}) {
						require.Empty(t, m.Meta)
					} else {
						require.Equal(t, meta, decodeParam[ipc.Meta](t, m.Meta))
					}
				}
			}
		}
	}
}

func TestTheArgumentsOfAChunkAreReadOneByOne(t *testing.T) {
	var args []byte
	want := []any{"a", int8(7), nil, []any{"b"}, "c"}
	for _, arg := range want {
		var err error
		args, err = ipc.AppendValue(args, &arg)
		require.NoError(t, err)
	}
	m := parse(t, append(ipc.AppendChunkHead(nil, 1, "f", ipc.Meta{}, len(want), len(args)), args...))
	var got []any
	for range m.Calls {
		var arg any
		n, err := decodeFirst(m.Value, &arg)
		require.NoError(t, err)
		got, m.Value = append(got, arg), m.Value[n:]
	}
	require.Equal(t, want, got)
	require.Empty(t, m.Value)
}

func TestAChunkCutInItsHeadIsNoMessage(t *testing.T) {
	for _, meta := range []ipc.Meta{{}, {Timeout: 5, Attempt: 2}} {
		body := ipc.AppendChunkHead(nil, 70_000, "function", meta, 3, 3)[8:]
		for n := range len(body) + 1 { // as it is, there is a head and no argument
			m, err := ipc.ParseMessage(body[:n:n])
			require.ErrorIs(t, err, ipc.ErrProtocol, "%d of %d bytes", n, len(body))
			require.Equal(t, ipc.Message{}, m)
		}
		_, err := ipc.ParseMessage(append(body, 7))
		require.NoError(t, err, "what its arguments are is seen when they are decoded")
	}
}

func TestResultsComeBackAsTheyWere(t *testing.T) {
	text := strings.Repeat("x", 1000)
	b, err := ipc.AppendResult([]byte("before"), 300, &text, 2000)
	require.NoError(t, err)
	m := parse(t, b[len("before"):])
	require.Equal(t, ipc.KindResponse, m.Kind)
	require.EqualValues(t, 300, m.ID)
	require.Empty(t, m.Failure)
	require.Equal(t, text, decodeParam[string](t, m.Value))
}

func TestResultsThatCannotBeSentLeaveNothingBehind(t *testing.T) {
	for name, result := range map[string]any{"over the limit": new(strings.Repeat("x", 1000)), "not encodable": new(make(chan int))} {
		dst := make([]byte, 3, 4000)
		copy(dst, "abc")
		b, err := ipc.AppendResult(dst, 1, result, 1000)
		require.Error(t, err, name)
		require.Equal(t, "abc", string(b), name)
	}
	exact := strings.Repeat("x", 997) // and a head of 3 bytes
	b, err := ipc.AppendResult(nil, 1, &exact, 1000)
	require.NoError(t, err, "the limit itself is allowed")
	require.Len(t, ipc.ResultIn(b), 1000)
	_, err = ipc.AppendResult(nil, 1, &exact, 999)
	require.ErrorContains(t, err, "it takes 1000 bytes, and the host takes results of up to 999 (Config.MaxResult)")
}

// Whatever welcome says, a result within its limit fits into a frame.
func TestTheLimitOfResultsIsThatOfWelcome(t *testing.T) {
	for _, c := range []struct{ body, result, want uint32 }{
		{1 << 20, 1000, 1000},
		{1 << 20, 0, 1<<20 - 12},
		{1 << 20, 1 << 20, 1<<20 - 12},
		{5, 0, 0},
		{5, 5, 0},
		{ipc.MaxBody, ipc.MaxBody, ipc.MaxBody - 12},
	} {
		w := ipc.WelcomeParam{MaxBody: c.body, MaxResult: c.result}
		require.Equal(t, c.want, w.ResultLimit(), "%+v", w)
	}
	exact := strings.Repeat("x", 985) // and a head of 3 bytes
	limit := ipc.WelcomeParam{MaxBody: 1000}.ResultLimit()
	b, err := ipc.AppendResult(nil, math.MaxUint64, &exact, limit)
	require.NoError(t, err)
	require.Len(t, ipc.Body(b), 1000)
}

func TestFailuresComeBackAsTheyWere(t *testing.T) {
	f := ipc.Failure{Kind: ipc.FailedPanic, Type: "T", Message: "M", Stack: "S", Codes: []string{"a", "b"}}
	m := parse(t, ipc.AppendFailure(nil, 9, f))
	require.Equal(t, ipc.KindResponse, m.Kind)
	require.EqualValues(t, 9, m.ID)
	require.Equal(t, f, decodeParam[ipc.Failure](t, m.Failure))
}

// A failure that is too long would cost its worker: the host refuses it.
func TestFailuresAreCutToWhatTheOtherSideTakes(t *testing.T) {
	long := strings.Repeat("世", 1<<20)
	for _, kind := range []ipc.FailureKind{ipc.FailedTask, ipc.FailedArgument, ipc.FailedResult} {
		b := ipc.AppendFailure(nil, 1, ipc.Failure{Kind: kind, Type: long, Message: long, Stack: long})
		f := decodeParam[ipc.Failure](t, parse(t, b).Failure)
		for _, text := range []string{f.Type, f.Message, f.Stack} {
			require.Less(t, len(text), 66<<10)
			require.Regexp(t, `^世+\.\.\. \(cut\)$`, text)
		}
	}
}

func TestNotificationsComeBackAsTheyWere(t *testing.T) {
	hello := ipc.HelloParam{Protocol: 1, PID: 1 << 20, Build: "b", Features: []string{"x"}, Functions: []ipc.Function{{Name: "f", In: "int"}}}
	m := parse(t, ipc.AppendNotification(nil, ipc.Hello, hello))
	require.Equal(t, ipc.KindNotification, m.Kind)
	require.Equal(t, ipc.Hello, string(m.Name))
	require.Equal(t, hello, decodeParam[ipc.HelloParam](t, m.Value))

	cancel := ipc.CancelParam{ID: math.MaxUint64, Reason: ipc.ReasonDeadline}
	require.Equal(t, cancel, decodeParam[ipc.CancelParam](t, parse(t, ipc.AppendNotification(nil, ipc.Cancel, cancel)).Value))
	parse(t, ipc.AppendNotification(nil, "grease", nil))
}

func TestParametersAreForgivingTowardsLaterVersions(t *testing.T) {
	assert.Equal(t, ipc.CancelParam{ID: 7}, decodeParam[ipc.CancelParam](t, []byte("\x83\xa2id\x07\xa3new\x92\x01\x80\xa6reason\xc0")))
	assert.Equal(t, ipc.HelloParam{}, decodeParam[ipc.HelloParam](t, []byte("\x81\xa8features\xc0")))
}

func TestAParameterThatCannotBeReadIsABreachAndNoValueIsToBlame(t *testing.T) {
	for _, src := range []string{"", "\x07", "\x81\xa2id\xa1x", "\x81\x01\x02", "\x80\x80", "\x81\xa2id"} {
		var c ipc.CancelParam
		err := ipc.DecodeParam([]byte(src), &c)
		require.ErrorIs(t, err, ipc.ErrProtocol, "%q", src)
		require.NotErrorIs(t, err, futures.ErrNotShareable, "%q", src)
		require.ErrorContains(t, err, "CancelParam", "%q", src)
	}
}

func TestEnvelopesOfOtherEncoders(t *testing.T) {
	for _, body := range []string{
		"\x95\x00\x05\xa1f\xc0\x07", "\xdc\x00\x05\x00\x05\xa1f\xc0\x07", "\x95\xcc\x00\xcc\x05\xd9\x01f\xc0\x07",
		"\x95\xcd\x00\x00\xcd\x00\x05\xda\x00\x01f\xc0\x07", "\x95\xce\x00\x00\x00\x00\xcf\x00\x00\x00\x00\x00\x00\x00\x05\xdb\x00\x00\x00\x01f\xc0\x07",
	} {
		m, err := ipc.ParseMessage([]byte(body))
		require.NoError(t, err, "%q", body)
		require.Equal(t, ipc.Message{Kind: ipc.KindRequest, ID: 5, Name: []byte("f"), Value: []byte{7}}, m, "%q", body)
	}
}

func TestBodiesThatAreNoMessage(t *testing.T) {
	for what, body := range map[string]string{
		"nothing":                     "",
		"no array":                    "\x05",
		"a map":                       "\x81\x00\x05",
		"an empty array":              "\x90",
		"a kind that is not known":    "\x94\x06\x05\xc0\x07",
		"unknown, shaped a request":   "\x95\x06\x05\xa1f\xc0\x07",
		"unknown, shaped a chunk":     "\x95\x06\x05\xa1f\xc0\xdc\x00\x01\x07",
		"a place without a length":    "\x94\x05\x05\x07",
		"a place and more":            "\x94\x05\x05\x07\x08\x09",
		"a placed request of five":    "\x95\x04\x05\xa1f\xc0\x07\x08",
		"a place below nothing":       "\x94\x05\x05\xff\x08",
		"a chunk shaped a response":   "\x94\x03\x05\xc0\x07",
		"a chunk shaped a request":    "\x95\x03\x05\xa1f\xc0\x07",
		"a chunk of no calls":         "\x95\x03\x05\xa1f\xc0\xdc\x00\x00\x07",
		"a chunk of no calls, short":  "\x95\x03\x05\xa1f\xc0\x90\x07",
		"a chunk of too many calls":   "\x95\x03\x05\xa1f\xc0\xdc\x80\x01\x07" + strings.Repeat("\x07", ipc.MaxChunk),
		"a chunk of all calls":        "\x95\x03\x05\xa1f\xc0\xdc\xff\xff\x07" + strings.Repeat("\x07", 1<<16),
		"a chunk of an array 32":      "\x95\x03\x05\xa1f\xc0\xdd\x00\x00\x00\x01\x07",
		"a chunk of a map":            "\x95\x03\x05\xa1f\xc0\x81\x07\x07",
		"a chunk of nil":              "\x95\x03\x05\xa1f\xc0\xc0\x07",
		"a chunk of negative id":      "\x95\x03\xff\xa1f\xc0\xdc\x00\x01\x07",
		"a chunk without arguments":   "\x95\x03\x05\xa1f\xc0\xdc\x00\x01",
		"a chunk cut in its number":   "\x95\x03\x05\xa1f\xc0\xdc\x00",
		"a chunk with a name of 5":    "\x95\x03\x05\x05\xc0\xdc\x00\x01\x07",
		"a chunk whose meta is cut":   "\x95\x03\x05\xa1f\x81\xa1x",
		"a chunk of six elements":     "\x96\x03\x05\xa1f\xc0\xdc\x00\x01\x07\x07",
		"a kind that is no number":    "\x94\xa1x\x05\xc0\x07",
		"a negative kind":             "\x94\xff\x05\xc0\x07",
		"too many elements":           "\x95\x01\x05\xc0\x07\x07",
		"too few":                     "\x93\x01\x05\xc0",
		"a request shaped a response": "\x94\x00\x05\xa1f\xc0",
		"no value":                    "\x94\x01\x05\xc0",
		"a negative id":               "\x94\x01\xff\xc0\x07",
		"an id that is a text":        "\x94\x01\xa15\xc0\x07",
		"an id cut short":             "\x94\x01\xcf\x00\x00",
		"a name that is no text":      "\x95\x00\x05\x06\xc0\x07",
		"a name longer than the body": "\x95\x00\x05\xdb\xff\xff\xff\xffx\xc0\x07",
		"two parameters":              "\x93\x02\xa1n\x92\x01\x02",
		"no parameter":                "\x93\x02\xa1n\x90",
		"a failure cut short":         "\x94\x01\x05\xa5abc",
		"a failure of 0xc1":           "\x94\x01\x05\xc1\xc0",
		"a failure that nests deep":   "\x94\x01\x05" + strings.Repeat("\x91", 9) + "\xc0\xc0",
		"a failure of endless length": "\x94\x01\x05\xdd\xff\xff\xff\xff\xc0",
		"a failure of a megabyte":     "\x94\x01\x05\xc6\x00\x10\x00\x00" + strings.Repeat("x", 1<<20) + "\xc0",
	} {
		m, err := ipc.ParseMessage([]byte(body))
		require.ErrorIs(t, err, ipc.ErrProtocol, what)
		require.Equal(t, ipc.Message{}, m, what)
		require.Less(t, len(err.Error()), 300, what)
	}
}

// The host decodes a worker's failures into structs that are larger than the bytes.
func TestAHostileFailureCostsLittle(t *testing.T) {
	codes := func(n int) string {
		return "\x94\x01\x05\x81\xa5codes\xdd\x00" + string([]byte{byte(n >> 16), byte(n >> 8), byte(n)}) + strings.Repeat("\xa0", n) + "\xc0"
	}
	_, err := ipc.ParseMessage([]byte(codes(1 << 20)))
	require.ErrorIs(t, err, ipc.ErrProtocol)
	_, err = ipc.ParseMessage([]byte(codes(1<<20 - 20)))
	require.NoError(t, err)
}

func TestParsingAllocatesNothing(t *testing.T) {
	for _, body := range [][]byte{
		ipc.AppendRequest(nil, 300, "function", ipc.Meta{Timeout: 5}, []byte{7})[8:],
		append(ipc.AppendChunkHead(nil, 300, "function", ipc.Meta{Timeout: 5}, 2, 2), 7, 8)[8:],
	} {
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			if _, err := ipc.ParseMessage(body); err != nil {
				t.Error(err)
			}
		}))
	}
}

// FuzzParseMessage takes hostile bodies apart. What is accepted is put together again, and comes back the same.
func FuzzParseMessage(f *testing.F) {
	result := "result"
	ok, err := ipc.AppendResult(nil, 1<<40, &result, 1000)
	require.NoError(f, err)
	for _, frame := range [][]byte{
		ok,
		ipc.AppendRequest(nil, 1, "f", ipc.Meta{Timeout: 5}, []byte{7}),
		ipc.AppendRequest(nil, 300, strings.Repeat("n", 40), ipc.Meta{}, []byte{0x80}),
		ipc.AppendFailure(nil, 70_000, ipc.Failure{Kind: ipc.FailedTask, Codes: []string{"io.EOF"}}),
		ipc.AppendNotification(nil, ipc.Hello, ipc.HelloParam{Functions: []ipc.Function{{Name: "f"}}}),
		ipc.AppendNotification(nil, ipc.Cancel, ipc.CancelParam{ID: 1}),
		append(ipc.AppendChunkHead(nil, 1, "f", ipc.Meta{}, 3, 3), 1, 2, 3),
		append(ipc.AppendChunkHead(nil, math.MaxUint64, strings.Repeat("n", 40), ipc.Meta{Timeout: 5, Attempt: 2}, ipc.MaxChunk, 1), 0x80),
		append(ipc.AppendChunkHead(nil, 1, "f", ipc.Meta{}, 0, 1), 1),
		ipc.AppendPlacedRequest(nil, 9, "f", ipc.Meta{Timeout: 5}, ipc.Place{Offset: 4096, Len: 1 << 20}),
		ipc.AppendPlacedResult(nil, 9, ipc.Place{Offset: 1 << 40, Len: 7}),
		append(ipc.AppendChunkHead(nil, 1, "f", ipc.Meta{}, ipc.MaxChunk+1, 1), 1),
	} {
		f.Add(frame[8:])
	}
	f.Add([]byte("\x94\x01\x05\xdd\xff\xff\xff\xff\xc0"))
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		m, err := ipc.ParseMessage(body)
		require.Equal(t, kept, body, "left alone")
		if err != nil {
			require.ErrorIs(t, err, ipc.ErrProtocol)
			return
		}
		placed := m.Kind == ipc.KindPlacedRequest || m.Kind == ipc.KindPlacedResponse
		require.Equal(t, placed, len(m.Value) == 0)
		require.True(t, bytes.HasSuffix(body, m.Value))
		require.True(t, placed || m.Place == ipc.Place{})
		require.Equal(t, m.Kind == ipc.KindChunk, m.Calls != 0)
		switch m.Kind {
		case ipc.KindRequest:
			var meta ipc.Meta
			if meta, err = ipc.DecodeMeta(m.Meta); err != nil {
				return
			}
			again := parse(t, ipc.AppendRequest(nil, m.ID, string(m.Name), meta, m.Value))
			require.Equal(t, []any{m.Kind, m.ID, string(m.Name), m.Value}, []any{again.Kind, again.ID, string(again.Name), again.Value})
			if meta != (ipc.Meta{}) {
				require.Equal(t, meta, decodeParam[ipc.Meta](t, again.Meta))
			}
		case ipc.KindChunk:
			require.Positive(t, m.Calls)
			require.LessOrEqual(t, m.Calls, ipc.MaxChunk)
			var meta ipc.Meta
			if meta, err = ipc.DecodeMeta(m.Meta); err != nil {
				return
			}
			again := parse(t, append(ipc.AppendChunkHead(nil, m.ID, string(m.Name), meta, m.Calls, len(m.Value)), m.Value...))
			require.Equal(t, []any{m.Kind, m.ID, string(m.Name), m.Calls, m.Value}, []any{again.Kind, again.ID, string(again.Name), again.Calls, again.Value})
			if meta != (ipc.Meta{}) {
				require.Equal(t, meta, decodeParam[ipc.Meta](t, again.Meta))
			}
		case ipc.KindPlacedRequest:
			var meta ipc.Meta
			if meta, err = ipc.DecodeMeta(m.Meta); err != nil {
				return
			}
			again := parse(t, ipc.AppendPlacedRequest(nil, m.ID, string(m.Name), meta, m.Place))
			require.Equal(t, []any{m.ID, string(m.Name), m.Place}, []any{again.ID, string(again.Name), again.Place})
		case ipc.KindPlacedResponse:
			again := parse(t, ipc.AppendPlacedResult(nil, m.ID, m.Place))
			require.Equal(t, []any{m.ID, m.Place}, []any{again.ID, again.Place})
		case ipc.KindResponse:
			var failure ipc.Failure
			if len(m.Failure) == 0 || ipc.DecodeParam(m.Failure, &failure) != nil {
				return
			}
			again := parse(t, ipc.AppendFailure(nil, m.ID, failure))
			require.Equal(t, m.ID, again.ID)
			require.Equal(t, failure.Kind, decodeParam[ipc.Failure](t, again.Failure).Kind)
			require.Error(t, failure.Err("f"), "every failure is an error")
		case ipc.KindNotification:
			require.Zero(t, m.ID)
			var hello ipc.HelloParam
			if ipc.DecodeParam(m.Value, &hello) == nil {
				again := parse(t, ipc.AppendNotification(nil, string(m.Name), hello))
				require.Equal(t, string(m.Name), string(again.Name))
				require.Equal(t, hello, decodeParam[ipc.HelloParam](t, again.Value))
			}
		default:
			t.Fatalf("kind %d", m.Kind)
		}
	})
}
