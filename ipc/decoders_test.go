package ipc_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// FuzzParams gives hostile bytes to everything that reads a part of a message, on either side. What is accepted is written and read again, and is the same.
func FuzzParams(f *testing.F) {
	for _, v := range []any{
		ipc.HelloParam{Protocol: 1, PID: 7, Build: "b", Features: []string{"claims"}, Functions: []ipc.Function{{Name: "f", In: "int", Out: "string"}}},
		ipc.WelcomeParam{Protocol: 1, Features: []string{"ring"}, MaxBody: math.MaxUint32, MaxResult: 1 << 20, Slots: 4096},
		ipc.CancelParam{ID: math.MaxUint64, Reason: ipc.ReasonTimeout},
		ipc.Meta{Timeout: math.MaxInt64, Deadline: -1, Attempt: 3},
		ipc.Failure{Kind: ipc.FailedTask, Type: "t", Message: "m", Stack: "s", Codes: []string{"io.EOF", "unheard"}},
		map[string]any{"timeout": -1, "attempt": "many", "later": []any{map[string]any{"x": nil}}},
	} {
		b, err := msgpack.Marshal(v)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte("\x81\xa8features\xdd\xff\xff\xff\xff"))
	f.Add([]byte("\xdf\xff\xff\xff\xff\xa7timeout\x01"))
	f.Fuzz(func(t *testing.T, src []byte) {
		readAgain[ipc.HelloParam](t, src)
		readAgain[ipc.WelcomeParam](t, src)
		readAgain[ipc.CancelParam](t, src)
		if meta, err := ipc.DecodeMeta(src); err == nil {
			frame := ipc.AppendRequest(nil, 1, "f", meta, []byte{0xC0})
			m, err := ipc.ParseMessage(ipc.Body(frame))
			require.NoError(t, err)
			again, err := ipc.DecodeMeta(m.Meta)
			require.NoError(t, err)
			require.Equal(t, meta, again)
		} else {
			require.ErrorIs(t, err, ipc.ErrProtocol)
		}
		if failure, err := ipc.DecodeFailure(src); err == nil {
			require.Error(t, failure.Err("f"), "every failure is an error")
			m, err := ipc.ParseMessage(ipc.Body(ipc.AppendFailure(nil, 1, failure)))
			require.NoError(t, err)
			again, err := ipc.DecodeFailure(m.Failure)
			require.NoError(t, err)
			require.Equal(t, failure.Kind, again.Kind)
		} else {
			require.ErrorIs(t, err, ipc.ErrProtocol)
		}
	})
}

func readAgain[T any](t *testing.T, src []byte) {
	var v T
	if err := ipc.DecodeParam(src, &v); err != nil {
		require.ErrorIs(t, err, ipc.ErrProtocol)
		return
	}
	m, err := ipc.ParseMessage(ipc.Body(ipc.AppendNotification(nil, "n", v)))
	require.NoError(t, err)
	require.Equal(t, v, decodeParam[T](t, m.Value))
}

// FuzzPlaces has each side of an arena look where the other one says: it is in the other one's half, or it is an error.
func FuzzPlaces(f *testing.F) {
	f.Add(uint64(4096), uint64(64))
	f.Add(uint64(math.MaxUint64), uint64(2))
	f.Add(uint64(4096+1<<15), uint64(1<<15+1))
	f.Fuzz(func(t *testing.T, offset, length uint64) {
		const size = 1 << 16
		mem := make([]byte, ipc.ArenaMemory(size))
		host, err := ipc.NewHostArena(mem)
		require.NoError(t, err)
		worker, err := ipc.NewWorkerArena(mem)
		require.NoError(t, err)
		p := ipc.Place{Offset: offset, Len: length}
		const head = 4096
		for _, side := range []struct {
			look func(ipc.Place) ([]byte, error)
			from uint64
		}{{worker.Argument, head}, {host.Result, head + size/2}} {
			b, err := side.look(p)
			inside := offset >= side.from && offset <= side.from+size/2 && length <= side.from+size/2-offset
			require.Equal(t, inside, err == nil, "%+v", p)
			if err != nil {
				require.ErrorIs(t, err, ipc.ErrProtocol)
				continue
			}
			require.Len(t, b, int(length))
			require.Equal(t, len(b), cap(b), "there is nothing behind it")
		}
	})
}

// FuzzClaims has host and worker take steps on a chunk and on a single call, in any order. An honest worker and the host never both have a call, and between
// them nothing is lost; a worker that writes what it likes can make the host believe nothing about calls that it was not sent.
func FuzzClaims(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 3}, uint8(5), false)
	f.Add([]byte{2, 0, 1}, uint8(1), false)
	f.Add([]byte{1, 4, 2, 200, 9, 3}, uint8(3), true)
	f.Fuzz(func(t *testing.T, steps []byte, calls uint8, hostile bool) {
		const slots, first = 8, 21
		words := make([]uint64, slots)
		c := table(t, words)
		last := first + uint64(calls%32)
		c.Queue(first)
		const single = first + 3 // in a slot of its own
		c.Queue(single)
		started, withdrawnFrom := uint64(0), last+1 // of the chunk: the last one started, the first that was taken back
		ran, taken := false, false                  // the single call
		for i, step := range steps {
			switch step % 8 {
			case 0, 1: // the worker's next call of the chunk
				if started == 0 {
					if c.Start(first) {
						require.Greater(t, withdrawnFrom, uint64(first), "a call is started that was taken back")
						started = first
					}
				} else if next := started + 1; next <= last && c.Advance(first, next) {
					require.Greater(t, withdrawnFrom, next, "a call is started that was taken back")
					started = next
				}
			case 2: // the host takes the rest back
				from := c.WithdrawRest(first, last)
				require.True(t, from >= first && from <= last+1, "calls %d to %d: from %d", first, last, from)
				if !hostile && from <= last {
					require.Greater(t, from, started, "a call is taken back that has started")
					require.True(t, started == 0 && from == first || from == started+1, "calls are lost between them")
					require.Equal(t, last+1, withdrawnFrom, "calls are taken back twice")
					withdrawnFrom = from
				}
			case 3: // the host looks
				running, ok := c.Running(first, last)
				require.True(t, !ok || running >= first && running <= last)
				if !hostile && withdrawnFrom > first {
					require.Equal(t, started != 0, ok)
					require.True(t, !ok || running == started)
				}
				require.LessOrEqual(t, c.State(single), ipc.ClaimUnknown)
			case 4:
				if c.Start(single) && !hostile {
					require.False(t, ran || taken)
					ran = true
				}
			case 5:
				if c.Withdraw(single) && !hostile {
					require.False(t, ran || taken)
					taken = true
				}
			case 6:
				c.Finish(single)
				if !hostile {
					require.Equal(t, ran, c.State(single) == ipc.ClaimFinished)
				}
			case 7: // a late step for a call that is over, or a hostile one
				if hostile {
					words[int(step>>3)%slots] = uint64(step)<<57 | uint64(i)*uint64(step)
					continue
				}
				require.False(t, c.Start(single-slots) || c.Withdraw(single-slots) || c.Advance(first-slots, first-slots+1))
			}
		}
	})
}
