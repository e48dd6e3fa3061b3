//go:build linux

package procpool_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// Payloads of every size, with workers that die and calls that are given up in the middle of it. What arrives is what was sent, byte for
// byte, however it has travelled.

// largest is the size of the largest payload.
const largest = 8 << 20

// What a payload begins with, if it is long enough.
type payloadHead struct {
	Back uint64 // how many bytes to return that derive from Seed; itself for the payload
	Seed uint64
	Nap  uint64 // nanoseconds before the end
	Deaf uint64 // 1 for a nap that does not listen to its ctx
}

const (
	headSize = 32
	itself   = math.MaxUint64
)

func (h payloadHead) put(p []byte) {
	for i, v := range []uint64{h.Back, h.Seed, h.Nap, h.Deaf} {
		binary.LittleEndian.PutUint64(p[8*i:], v)
	}
}

func headOf(p []byte) payloadHead {
	if len(p) < headSize {
		return payloadHead{Back: itself}
	}
	v := func(i int) uint64 { return binary.LittleEndian.Uint64(p[8*i:]) }
	return payloadHead{v(0), v(1), v(2), v(3)}
}

// derived is what follows from a seed.
func derived(seed uint64, size int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	p := make([]byte, size)
	rand.NewChaCha8(key).Read(p)
	return p
}

// answerTo is what the worker has to return for a payload.
func answerTo(p []byte) []byte {
	sum := sha256.Sum256(p)
	if h := headOf(p); h.Back != itself {
		return append(sum[:], derived(h.Seed, int(h.Back))...)
	}
	return append(sum[:], p...)
}

// kept is what functions of a worker have seen and keep, which is theirs, with what it was.
var kept [8]struct {
	bytes []byte
	sum   [32]byte
}

var keptCalls int

// carry answers to a payload. It looks whether what earlier calls have kept is as it was.
func carry(ctx context.Context, p []byte) ([]byte, error) {
	for i, k := range kept {
		if k.bytes != nil && sha256.Sum256(k.bytes) != k.sum {
			return nil, fmt.Errorf("what an earlier call has kept was changed (%d bytes, number %d)", len(k.bytes), i)
		}
	}
	answer := answerTo(p)
	for i, b := range [][]byte{p, answer} {
		if len(b) <= 1<<20 { // it takes its time to look at them
			k := &kept[(2*keptCalls+i)%len(kept)]
			k.bytes, k.sum = b, sha256.Sum256(b)
		}
	}
	keptCalls++
	if h := headOf(p); h.Deaf == 1 {
		time.Sleep(time.Duration(h.Nap))
	} else if h.Nap > 0 {
		select {
		case <-time.After(time.Duration(h.Nap)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return answer, nil
}

var carryBytes = futures.NewFunc("test.CarryBytes", carry)

// A parcel is a payload that travels as part of something else.
type parcel struct {
	Label string
	Bytes []byte
}

var carryParcel = futures.NewFunc("test.CarryParcel", func(ctx context.Context, p parcel) (parcel, error) {
	answer, err := carry(ctx, p.Bytes)
	return parcel{p.Label, answer}, err
})

var carryText = futures.NewFunc("test.CarryText", func(ctx context.Context, s string) (string, error) {
	answer, err := carry(ctx, []byte(s))
	return string(answer), err
})

// anySize is a size of any magnitude up to the largest.
func anySize(random *rand.Rand) int {
	switch random.IntN(12) {
	case 0:
		return random.IntN(3)
	case 1: // about where ways of travelling may change
		return max(0, 1<<(8+random.IntN(15))+random.IntN(129)-64)
	default:
		return int(math.Exp2(random.Float64() * math.Log2(largest)))
	}
}

// newPayload makes a payload of any size that asks for one of any size.
func newPayload(random *rand.Rand, nap time.Duration, deaf bool) []byte {
	size := anySize(random)
	if nap > 0 {
		size = max(size, headSize)
	}
	p := derived(random.Uint64(), size)
	if len(p) >= headSize {
		h := payloadHead{Back: itself, Seed: random.Uint64(), Nap: uint64(nap)}
		if random.IntN(2) == 0 {
			h.Back = uint64(anySize(random))
		}
		if deaf {
			h.Deaf = 1
		}
		h.put(p)
	}
	return p
}

// carriers are the ways in which a payload can be an argument and a result. Each changes the argument as soon as Submit has returned.
var carriers = map[string]func(context.Context, *procpool.ProcessPoolExecutor, []byte, ...futures.CallOption) carried{
	"bytes": func(ctx context.Context, pool *procpool.ProcessPoolExecutor, p []byte, opts ...futures.CallOption) carried {
		f := futures.Submit(ctx, pool, carryBytes, p, opts...)
		spoil(p)
		return carried{f.Result, f.Cancel}
	},
	"parcel": func(ctx context.Context, pool *procpool.ProcessPoolExecutor, p []byte, opts ...futures.CallOption) carried {
		f := futures.Submit(ctx, pool, carryParcel, parcel{"label", p}, opts...)
		spoil(p)
		return carried{func(ctx context.Context) ([]byte, error) {
			got, err := f.Result(ctx)
			if err == nil && got.Label != "label" {
				err = fmt.Errorf("the label became %q", got.Label)
			}
			return got.Bytes, err
		}, f.Cancel}
	},
	"text": func(ctx context.Context, pool *procpool.ProcessPoolExecutor, p []byte, opts ...futures.CallOption) carried {
		f := futures.Submit(ctx, pool, carryText, string(p), opts...)
		return carried{func(ctx context.Context) ([]byte, error) {
			got, err := f.Result(ctx)
			return []byte(got), err
		}, f.Cancel}
	},
}

// carried is a payload on its way.
type carried struct {
	result func(context.Context) ([]byte, error)
	cancel func() bool
}

func spoil(p []byte) {
	for i := range p {
		p[i] = 0xA5
	}
}

// differs describes where two texts of bytes differ; it is empty if they do not.
func differs(want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	n := 0
	for n < min(len(want), len(got)) && want[n] == got[n] {
		n++
	}
	return fmt.Sprintf("%d bytes instead of %d, which differ from byte %d on", len(got), len(want), n)
}

func TestPayloadStorm(t *testing.T) {
	calls := 300
	if raceDetector {
		calls = 120
	}
	const ahead, grace, nap = 10, 40 * time.Millisecond, 10 * time.Second
	for _, workers := range []int{2, 3} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: workers, OnCrash: procpool.ReplaceWorker, MaxCrashes: 1 << 20, KillGrace: grace})
			_, err := futures.Submit(context.Background(), pool, echo, "").Result(bounded(t)) // one that has never had a worker breaks if the first one dies
			require.NoError(t, err)
			random := dice(t, uint64(workers))
			ways := slices.Sorted(func(yield func(string) bool) {
				for name := range carriers {
					if !yield(name) {
						return
					}
				}
			})
			type flight struct {
				carried
				n       int
				way     string
				want    []byte
				timeout bool
				cancel  context.CancelCauseFunc
			}
			reason := errors.New("the user went home")
			var flying []flight
			counts := make(map[string]int)
			dead := make(map[int]bool)
			type souvenir struct {
				bytes []byte
				sum   [32]byte
			}
			var souvenirs []souvenir
			land := func() {
				f := flying[0]
				flying = flying[1:]
				defer f.cancel(nil)
				got, err := f.result(bounded(t))
				var crash *procpool.WorkerCrashError
				switch {
				case err == nil && f.timeout:
					assert.Failf(t, "a call went on for longer than its timeout", "call %d", f.n)
				case err == nil:
					counts["finished"]++
					require.Empty(t, differs(f.want, got), "call %d (%s)", f.n, f.way)
					if len(got) < 1<<20 && random.IntN(4) == 0 { // kept and looked at again
						souvenirs = append(souvenirs, souvenir{got, sha256.Sum256(got)})
					} else { // it is the caller's, who may write there
						spoil(got)
					}
				case errors.Is(err, futures.ErrCancelled):
					counts["cancelled"]++
				case errors.Is(err, reason):
					counts["interrupted"]++
				case f.timeout && errors.Is(err, futures.ErrTimeout):
					counts["timed out"]++
				case errors.As(err, &crash):
					counts["crashed"]++
					assert.True(t, dead[crash.PID], "call %d: a worker that nobody has killed: %v", f.n, err)
				default:
					assert.NoError(t, err, "call %d (%s)", f.n, f.way)
				}
			}
			for n := range calls {
				ctx, cancel := context.WithCancelCause(context.Background())
				f := flight{n: n, way: ways[random.IntN(len(ways))], cancel: cancel}
				var opts []futures.CallOption
				var p []byte
				switch random.IntN(20) {
				case 0:
					f.timeout = true
					opts = append(opts, futures.Timeout(time.Duration(1+random.IntN(20))*time.Millisecond))
					p = newPayload(random, nap, random.IntN(2) == 0)
				case 1:
					opts = append(opts, futures.Retries(1))
					fallthrough
				default:
					p = newPayload(random, 0, false)
				}
				f.want = answerTo(p)
				f.carried = carriers[f.way](ctx, pool, p, opts...)
				flying = append(flying, f)
				switch random.IntN(30) {
				case 0, 1:
					flying[random.IntN(len(flying))].carried.cancel()
				case 2:
					flying[random.IntN(len(flying))].cancel(reason)
				case 3, 4, 5:
					if pids := pool.Stats().PIDs; len(pids) > 0 {
						slices.Sort(pids)
						pid := pids[random.IntN(len(pids))]
						dead[pid] = unix.Kill(pid, unix.SIGKILL) == nil || dead[pid]
					}
				}
				if len(flying) >= ahead {
					land()
				}
			}
			for len(flying) > 0 {
				land()
			}
			for i, s := range souvenirs {
				assert.Equal(t, s.sum, sha256.Sum256(s.bytes), "result %d (%d bytes) changed after it was handed out", i, len(s.bytes))
			}
			mustClose(t, pool)
			stats := pool.Stats()
			assert.LessOrEqual(t, counts["crashed"]+stats.Retried, len(dead), "the end of a worker cost more than one call")
			assert.Greater(t, counts["finished"], calls/2)
			for _, what := range []string{"cancelled", "timed out", "crashed"} {
				if !raceDetector { // there are too few
					assert.Positive(t, counts[what], what)
				}
			}
			t.Logf("%v, %d killed, %+v", counts, len(dead), stats)
		})
	}
}

// The same in chunks, in which small answers and large ones lie close together.
func TestPayloadStormInChunks(t *testing.T) {
	calls := 300
	if raceDetector {
		calls = 100
	}
	for _, opts := range [][]futures.MapOption{nil, {futures.Chunksize(16)}} {
		t.Run(fmt.Sprint(len(opts)), func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 2, OnCrash: procpool.ReplaceWorker, MaxCrashes: 1 << 20, KillGrace: patience})
			_, err := futures.Submit(context.Background(), pool, echo, "").Result(bounded(t))
			require.NoError(t, err)
			random := dice(t, 23)
			want := make([][]byte, 0, calls)
			inputs := func(yield func([]byte) bool) {
				room := make([]byte, largest)
				for range calls {
					p := newPayload(random, 0, false)
					want = append(want, answerTo(p))
					arg := room[:copy(room, p)] // which is used again for each
					if !yield(arg) {
						return
					}
					spoil(arg)
				}
			}
			dead := make(map[int]bool)
			kills := dice(t, 29)
			n, crashed := 0, 0
			for got, err := range futures.Map(bounded(t), pool, carryBytes, inputs, append(opts, futures.Buffersize(48))...) {
				var crash *procpool.WorkerCrashError
				if err == nil {
					require.Empty(t, differs(want[n], got), "call %d", n)
					spoil(got)
				} else if assert.ErrorAs(t, err, &crash, "call %d", n) {
					crashed++
					assert.True(t, dead[crash.PID], "call %d: a worker that nobody has killed: %v", n, err)
				}
				want[n] = nil
				if n++; kills.IntN(10) == 0 {
					if pids := pool.Stats().PIDs; len(pids) > 0 {
						slices.Sort(pids)
						pid := pids[kills.IntN(len(pids))]
						dead[pid] = unix.Kill(pid, unix.SIGKILL) == nil || dead[pid]
					}
				}
			}
			assert.Equal(t, calls, n)
			assert.LessOrEqual(t, crashed, len(dead), "the end of a worker cost more than one call")
			if !raceDetector { // there are too few
				assert.Positive(t, crashed)
			}
			t.Logf("%d crashed, %d killed", crashed, len(dead))
		})
	}
}
