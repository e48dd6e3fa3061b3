package ipc_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// What PROTOCOL.md says of the ring, in numbers of its own: a worker in another language has no others.
const (
	atProduced, atConsumed, atAsleep, atEntries = 0, 64, 128, 4096

	smallest = 4096         // the smallest ring
	quarter  = smallest / 4 // the longest entry in it
	head     = 16
)

// shared is memory for a ring of size bytes.
func shared(size int) []byte {
	words := make([]uint64, ipc.RingMemory(size)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 8*len(words))
}

// sides lays a ring over mem for each side, as worker and host do over what they share.
func sides(t testing.TB, mem []byte) (worker, host *ipc.Ring) {
	t.Helper()
	worker, err := ipc.NewRing(mem)
	require.NoError(t, err)
	host, err = ipc.NewRing(mem)
	require.NoError(t, err)
	return worker, host
}

// cutAll cuts all entries that Take has returned.
func cutAll(t testing.TB, taken []byte) (all []ipc.Entry) {
	t.Helper()
	for len(taken) > 0 {
		e, rest, err := ipc.CutEntry(taken)
		require.NoError(t, err)
		all, taken = append(all, e), rest
	}
	return all
}

// take is all that there is in the ring.
func take(t testing.TB, host *ipc.Ring) []ipc.Entry {
	t.Helper()
	taken, err := host.Take(nil)
	require.NoError(t, err)
	return cutAll(t, taken)
}

// filled is an entry that takes size bytes of the ring, and says so on every one of them.
func filled(id uint64, size int) ipc.Entry {
	return ipc.Entry{ID: id, Took: time.Duration(size), Result: bytes.Repeat([]byte{byte(id)}, size-head)}
}

// forward moves both sides of an empty ring on by n bytes, a multiple of eight and not 8.
func forward(t testing.TB, worker, host *ipc.Ring, n int) {
	t.Helper()
	for n > 0 {
		step := min(n, quarter)
		if n-step == 8 {
			step -= 8 // an entry is longer than what would be left
		}
		require.True(t, worker.Put(filled(0, step)))
		take(t, host)
		n -= step
	}
}

func TestMemoryThatIsNoRing(t *testing.T) {
	mem := shared(4 * smallest)
	for what, bad := range map[string][]byte{
		"none":                      nil,
		"empty":                     {},
		"less than the page":        mem[:64],
		"the page alone":            mem[:atEntries],
		"less than a small ring":    mem[:atEntries+smallest/2],
		"no power of two":           mem[:atEntries+3*smallest],
		"a little more than one":    mem[:atEntries+smallest+8],
		"at an odd address":         mem[1 : 1+atEntries+smallest],
		"at an address that is 4*n": mem[4 : 4+atEntries+smallest],
	} {
		r, err := ipc.NewRing(bad)
		require.Error(t, err, what)
		require.Nil(t, r, what)
	}
	for _, size := range []int{smallest, 2 * smallest, 4 * smallest} {
		_, err := ipc.NewRing(mem[:ipc.RingMemory(size)])
		require.NoError(t, err, "%d bytes", size)
	}
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	worker, host := sides(t, shared(smallest))
	for _, n := range []int{0, 1, 7, 8, 9, 15, 16, 255, 256, quarter - head - 1, quarter - head} {
		for _, id := range []uint64{0, 1, 300, math.MaxUint64} {
			text := bytes.Repeat([]byte{0xA5}, n)
			for _, e := range []ipc.Entry{{ID: id, Result: text}, {ID: id, Body: text}, {ID: id, Took: math.MaxUint32, Result: text}} {
				require.True(t, worker.Put(e))
				taken, err := host.Take([]byte("before!!"))
				require.NoError(t, err)
				taken, found := bytes.CutPrefix(taken, []byte("before!!"))
				require.True(t, found)
				require.Equal(t, []ipc.Entry{e}, cutAll(t, taken), "%d bytes", n)
			}
		}
	}
	taken, err := host.Take([]byte("nothing more"))
	require.NoError(t, err)
	require.Equal(t, "nothing more", string(taken))
}

// An empty result is one, and not a message that is missing.
func TestAnEmptyResultIsAResult(t *testing.T) {
	worker, host := sides(t, shared(smallest))
	require.True(t, worker.Put(ipc.Entry{ID: 1, Result: []byte{}}))
	require.True(t, worker.Put(ipc.Entry{ID: 2, Body: []byte{}}))
	all := take(t, host)
	require.Len(t, all, 2)
	assert.NotNil(t, all[0].Result)
	assert.Nil(t, all[0].Body)
	assert.Nil(t, all[1].Result)
	assert.NotNil(t, all[1].Body)
}

func TestTheTimeOfACallIsCutToWhatFits(t *testing.T) {
	worker, host := sides(t, shared(smallest))
	for took, want := range map[time.Duration]time.Duration{
		-1: 0, math.MinInt64: 0, 0: 0, 1: 1, time.Second: time.Second, math.MaxUint32: math.MaxUint32, math.MaxUint32 + 1: math.MaxUint32,
		time.Hour: math.MaxUint32, math.MaxInt64: math.MaxUint32,
	} {
		require.True(t, worker.Put(ipc.Entry{ID: 1, Took: took, Result: []byte{7}}))
		require.Equal(t, want, take(t, host)[0].Took, "%d", took)
	}
}

// An entry goes on at the beginning wherever the end of the ring cuts it: in its head, in its result, or between the two.
func TestAnEntryThatReachesTheEnd(t *testing.T) {
	for before := 8; before <= 64; before += 8 {
		for _, size := range []int{head, head + 8, head + 24, 64, quarter} {
			worker, host := sides(t, shared(smallest))
			forward(t, worker, host, smallest-before)
			want := []ipc.Entry{filled(1, size), filled(2, 40)}
			for _, e := range want {
				require.True(t, worker.Put(e))
			}
			require.Equal(t, want, take(t, host), "%d bytes, %d before the end", size, before)
		}
	}
}

func TestARingThatIsFullToTheLastByte(t *testing.T) {
	for _, from := range []int{0, 16, 24, quarter, smallest - 8, smallest - 16, smallest} {
		mem := shared(smallest)
		worker, host := sides(t, mem)
		forward(t, worker, host, from)
		want := []ipc.Entry{filled(1, quarter), filled(2, quarter), filled(3, quarter), filled(4, quarter-head), {ID: 5, Result: []byte{}}}
		for _, e := range want {
			require.True(t, worker.Put(e), "call %d from %d on", e.ID, from)
		}
		before := bytes.Clone(mem)
		for _, size := range []int{head, 24, quarter} {
			require.False(t, worker.Put(filled(6, size)), "%d bytes from %d on", size, from)
		}
		require.Equal(t, before, mem, "who finds no room leaves everything as it was")
		require.Equal(t, want, take(t, host))
		require.True(t, worker.Put(filled(6, quarter)), "there is room again")
		require.Equal(t, []ipc.Entry{filled(6, quarter)}, take(t, host))
	}
}

// A ring that has room, but not enough, takes what is shorter.
func TestARingThatIsNearlyFull(t *testing.T) {
	worker, host := sides(t, shared(smallest))
	for _, size := range []int{quarter, quarter, quarter, quarter - 32} {
		require.True(t, worker.Put(filled(1, size)))
	}
	require.False(t, worker.Put(filled(2, 40)))
	require.True(t, worker.Put(filled(3, 32)))
	require.False(t, worker.Put(filled(4, head)))
	require.Equal(t, filled(3, 32), take(t, host)[4])
}

func TestAnEntryOfMoreThanAQuarter(t *testing.T) {
	for _, size := range []int{smallest, 2 * smallest} {
		mem := shared(size)
		worker, host := sides(t, mem)
		clean := bytes.Clone(mem)
		for _, n := range []int{size/4 - head + 1, size / 4, size, 2 * size} {
			require.False(t, worker.Put(ipc.Entry{ID: 1, Result: make([]byte, n)}), "a result of %d bytes in %d", n, size)
			require.False(t, worker.Put(ipc.Entry{ID: 1, Body: make([]byte, n)}), "a message of %d bytes in %d", n, size)
		}
		require.Equal(t, clean, mem)
		require.True(t, worker.Put(filled(2, size/4)), "a quarter is allowed")
		require.Equal(t, []ipc.Entry{filled(2, size/4)}, take(t, host))
	}
}

func TestEntriesOfAllSizesInManyRounds(t *testing.T) {
	worker, host := sides(t, shared(smallest))
	var put, taken, refused uint64
	for put < 20_000 {
		e := filled(put, head+int(put*put%(quarter-head+1)))
		if worker.Put(e) {
			put++
			continue
		}
		refused++
		require.Less(t, taken, put, "there is room in an empty ring")
		for _, got := range take(t, host) {
			require.Equal(t, filled(taken, head+int(taken*taken%(quarter-head+1))), got)
			taken++
		}
		require.Equal(t, put, taken, "all of them, and in order")
	}
	require.NotZero(t, refused)
}

// The layout is that of PROTOCOL.md, to the last byte: a worker in another language writes it, and one in Go may have another host.
func TestRingLayout(t *testing.T) {
	mem, want := shared(smallest), shared(smallest)
	worker, host := sides(t, mem)
	expect := func(what string) {
		t.Helper()
		require.True(t, bytes.Equal(want, mem), what)
	}
	expect("an empty ring is zeros")

	require.True(t, worker.Put(ipc.Entry{ID: 0x0102030405060708, Took: 0x0A0B0C0D, Result: []byte("123456789")}))
	binary.NativeEndian.PutUint32(want[atEntries:], 9)
	binary.NativeEndian.PutUint32(want[atEntries+4:], 0x0A0B0C0D)
	binary.NativeEndian.PutUint64(want[atEntries+8:], 0x0102030405060708)
	copy(want[atEntries+16:], "123456789")
	binary.NativeEndian.PutUint64(want[atProduced:], 32)
	expect("a result")

	require.True(t, worker.Put(ipc.Entry{ID: 2, Body: []byte("12345678")}))
	binary.NativeEndian.PutUint32(want[atEntries+32:], 8|1<<31)
	binary.NativeEndian.PutUint64(want[atEntries+40:], 2)
	copy(want[atEntries+48:], "12345678")
	binary.NativeEndian.PutUint64(want[atProduced:], 56)
	expect("a message")

	require.False(t, host.Sleep())
	expect("a host that must not sleep is not asleep")
	take(t, host)
	binary.NativeEndian.PutUint64(want[atConsumed:], 56)
	expect("taken")
	require.True(t, host.Sleep())
	binary.NativeEndian.PutUint32(want[atAsleep:], 1)
	expect("asleep")
	require.False(t, worker.Tell())
	expect("a worker that has nothing to tell lets it sleep")

	forward(t, worker, host, smallest-56-8)
	require.True(t, worker.Put(ipc.Entry{ID: 3, Took: 5, Result: []byte("abcdefgh")}))
	require.True(t, worker.Tell())
	at := atEntries + smallest - 8
	assert.EqualValues(t, 8, binary.NativeEndian.Uint32(mem[at:]))
	assert.EqualValues(t, 5, binary.NativeEndian.Uint32(mem[at+4:]), "the last byte of the ring")
	assert.EqualValues(t, 3, binary.NativeEndian.Uint64(mem[atEntries:]), "goes on at the beginning")
	assert.Equal(t, "abcdefgh", string(mem[atEntries+8:atEntries+16]))
	assert.EqualValues(t, smallest-8+24, binary.NativeEndian.Uint64(mem[atProduced:]), "positions go on for ever")
	assert.EqualValues(t, smallest-8, binary.NativeEndian.Uint64(mem[atConsumed:]))
	assert.Zero(t, binary.NativeEndian.Uint32(mem[atAsleep:]), "told")
}

// A worker in another language, in a few lines: what it leaves there by the words of PROTOCOL.md the host finds.
func TestAWorkerOfItsOwn(t *testing.T) {
	mem := shared(smallest)
	_, host := sides(t, mem)
	var produced uint64
	put := func(length uint32, took uint32, id uint64, text string) {
		entry := binary.NativeEndian.AppendUint32(nil, length)
		entry = binary.NativeEndian.AppendUint32(entry, took)
		entry = append(binary.NativeEndian.AppendUint64(entry, id), text...)
		for len(entry)%8 != 0 {
			entry = append(entry, '?') // nothing says what is there
		}
		for _, b := range entry {
			mem[atEntries+produced%smallest] = b
			produced++
		}
		binary.NativeEndian.PutUint64(mem[atProduced:], produced)
	}
	for id := uint64(1); id < 1000; id += 2 {
		put(3, 9, id, "abc")
		put(4|1<<31, 0, id+1, "text")
		require.Equal(t, []ipc.Entry{{ID: id, Took: 9, Result: []byte("abc")}, {ID: id + 1, Body: []byte("text")}}, take(t, host))
		require.Equal(t, produced, binary.NativeEndian.Uint64(mem[atConsumed:]))
	}
}

func TestFilling(t *testing.T) {
	worker, host := sides(t, shared(smallest))
	require.False(t, worker.Filling(), "empty")
	require.True(t, worker.Put(filled(1, quarter)))
	require.True(t, worker.Put(filled(2, quarter)))
	require.False(t, worker.Filling(), "a half is not more than a half")
	require.True(t, worker.Put(filled(3, head)))
	require.True(t, worker.Filling())
	take(t, host)
	require.True(t, worker.Put(filled(4, quarter)))
	require.True(t, worker.Put(filled(5, quarter)), "it has to look for room, and sees what was taken")
	require.False(t, worker.Filling())
	require.True(t, worker.Put(filled(6, head)))
	require.True(t, worker.Filling())
	require.Len(t, take(t, host), 3)
}

func TestAHostThatSleepsIsToldOnce(t *testing.T) {
	worker, host := sides(t, shared(smallest))
	require.False(t, worker.Tell(), "nothing there, nobody asleep")
	require.True(t, host.Sleep())
	require.False(t, worker.Tell(), "nothing there")
	require.True(t, worker.Put(filled(1, head)))
	require.True(t, worker.Tell())
	require.False(t, worker.Tell(), "it was told")
	require.True(t, worker.Put(filled(2, head)))
	require.False(t, worker.Tell(), "it was told, and finds the second with the first")
	require.False(t, host.Sleep(), "there is something to take")
	require.False(t, worker.Tell(), "it is not asleep then")
	require.Len(t, take(t, host), 2)
	require.False(t, worker.Tell(), "nor now")
	require.True(t, host.Sleep())
	require.True(t, host.Sleep(), "it may have been woken by something else")
	require.True(t, worker.Put(filled(3, head)))
	require.True(t, worker.Tell())
	require.Len(t, take(t, host), 1)
	require.False(t, worker.Tell())
}

// The worker's goroutine that runs the calls asks, and so does the one that stands by. One of them tells the host. They look out for each
// other without going to sleep, so that they ask at the same moment.
func TestOnlyOneTells(t *testing.T) {
	const rounds = 20_000
	worker, host := sides(t, shared(smallest))
	var round, asked, told atomic.Int64
	until := func(a *atomic.Int64, n int64) {
		for looks := 1; a.Load() < n; looks++ {
			if looks%100 == 0 {
				runtime.Gosched() // there may be one processor for both
			}
		}
	}
	ask := func() {
		if worker.Tell() {
			told.Add(1)
		}
		asked.Add(1)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range int64(rounds) {
			until(&round, n+1)
			ask()
		}
	})
	for n := range int64(rounds) {
		asleep, room := host.Sleep(), worker.Put(filled(1, head))
		round.Add(1)
		ask()
		until(&asked, 2*n+2)
		taken, err := host.Take(nil)
		if !assert.True(t, asleep && room && err == nil && len(taken) == head && told.Load() == n+1, "round %d: told %d times", n, told.Load()) {
			round.Add(rounds) // the other has to end
			break
		}
	}
	wg.Wait()
}

// Host and worker run at the same time, each with a ring of its own over the same memory. The worker waits for calls, and the host for
// the pipe when the ring is empty; so a response that the host is not told of leaves both waiting for ever, which the bubble finds at once.
func TestASleepingHostIsNeverMissed(t *testing.T) {
	for _, c := range []struct{ ahead, calls uint64 }{{1, 40_000}, {2, 40_000}, {7, 40_000}, {64, 60_000}} {
		t.Run(fmt.Sprint(c.ahead, " ahead"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { produceAndConsume(t, c.ahead, c.calls) })
		})
	}
}

func produceAndConsume(t *testing.T, ahead, calls uint64) {
	const ready = 0 // no call has this id
	worker, host := sides(t, shared(smallest))
	response := func(id uint64) ipc.Entry { return filled(id, head+int(id*31%500)) }
	sent := make(chan uint64, ahead)
	pipe := make(chan uint64, 16)
	var told, full int
	go func() { // ends with sent
		defer close(pipe)
		for id := range sent {
			if !worker.Put(response(id)) {
				full++
				pipe <- id
			}
			if (len(sent) == 0 || worker.Filling()) && worker.Tell() {
				told++
				pipe <- ready
			}
		}
	}()

	for id := range min(ahead, calls) {
		sent <- id + 1
	}
	var store, entries []byte
	var piped []uint64
	var slept, waited int
	for due := uint64(1); due <= calls; {
		if len(entries) == 0 {
			var err error
			store, err = host.Take(store[:0])
			require.NoError(t, err)
			entries = store
		}
		found := false
		if len(entries) > 0 {
			e, rest, err := ipc.CutEntry(entries)
			require.NoError(t, err)
			if found = e.ID == due; found {
				require.Equal(t, response(due), e)
				entries = rest
			}
		}
		if !found && len(piped) > 0 && piped[0] == due {
			found, piped = true, piped[1:]
		}
		if found {
			if next := due + ahead; next <= calls {
				sent <- next // there is room: one was answered
			}
			due++
			continue
		}
		if len(entries) == 0 {
			slept++
			if !host.Sleep() {
				continue
			}
		}
		waited++
		if id := <-pipe; id != ready {
			piped = append(piped, id)
		}
	}
	close(sent)
	for id := range pipe {
		require.EqualValues(t, ready, id, "all were answered")
	}
	t.Logf("slept %d times, waited %d, told %d, no room %d", slept, waited, told, full)
	require.Empty(t, entries)
	require.Empty(t, piped)
	require.NotZero(t, waited)
	require.LessOrEqual(t, told, slept, "once for each time")
	require.LessOrEqual(t, waited, told+full)
	left, err := host.Take(nil)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAWorkerThatScribblesOverTheRing(t *testing.T) {
	const at = 3 * quarter
	for what, produced := range map[string]uint64{
		"more than there is": at + smallest + 8, "much more": at + 1<<40, "as much as can be said": math.MaxUint64 &^ 7, "one byte": at + 1,
		"half a word": at + 4, "no multiple of eight": at + 20, "a byte less than all": at + smallest - 1, "a byte more": at + smallest + 1,
		"a word back": at - 8, "back to the start": 0, "back by the whole ring": at + math.MaxUint64 + 1 - smallest, "all bits": math.MaxUint64,
	} {
		mem := shared(smallest)
		worker, host := sides(t, mem)
		forward(t, worker, host, at)
		binary.NativeEndian.PutUint64(mem[atProduced:], produced)
		require.False(t, host.Sleep(), "%s: it has to look", what)
		taken, err := host.Take([]byte("before"))
		require.ErrorIs(t, err, ipc.ErrProtocol, what)
		require.Equal(t, "before", string(taken), what)
		require.EqualValues(t, at, binary.NativeEndian.Uint64(mem[atConsumed:]), "%s: nothing was taken", what)
	}
}

// The host never looks at what the worker could make of its own word.
func TestAWorkerThatScribblesOverTheHostsPosition(t *testing.T) {
	mem := shared(smallest)
	worker, host := sides(t, mem)
	forward(t, worker, host, 2*quarter)
	want := []ipc.Entry{filled(1, 40), filled(2, quarter), filled(3, quarter)}
	for _, e := range want {
		require.True(t, worker.Put(e))
	}
	binary.NativeEndian.PutUint64(mem[atConsumed:], math.MaxUint64)
	require.False(t, host.Sleep())
	require.Equal(t, want, take(t, host))
	require.EqualValues(t, 4*quarter+40, binary.NativeEndian.Uint64(mem[atConsumed:]))
	require.True(t, host.Sleep())
}

// A worker that says it has put in as much as there is room for is believed, and its entries are not.
func TestARingOfScribbles(t *testing.T) {
	mem := shared(smallest)
	_, host := sides(t, mem)
	for i := range mem[atEntries:] {
		mem[atEntries+i] = byte(i * i)
	}
	binary.NativeEndian.PutUint64(mem[atProduced:], smallest)
	taken, err := host.Take(nil)
	require.NoError(t, err)
	require.Equal(t, mem[atEntries:], taken)
	for i := range mem[atEntries:] {
		mem[atEntries+i] = 0xFF // while the host looks at what it has taken
	}
	require.Equal(t, byte(9), taken[3], "a copy")
}

func TestEntriesThatAreNone(t *testing.T) {
	entry := func(length uint32, rest int) []byte {
		return append(binary.NativeEndian.AppendUint32(nil, length), make([]byte, head-4+rest)...)
	}
	for what, bad := range map[string][]byte{
		"nothing":                       {},
		"half a head":                   make([]byte, 8),
		"a head without its last byte":  make([]byte, head-1),
		"one byte of none":              entry(1, 0),
		"nine bytes of eight":           entry(9, 8),
		"a message of nine, with eight": entry(9|1<<31, 8),
		"all that can be said":          entry(math.MaxInt32, 64),
		"a message of all":              entry(math.MaxUint32, 64),
		"to the end, and its head more": entry(64+head, 64),
	} {
		space := bytes.Repeat([]byte{0xEE}, 1024) // what is behind the end is none of its business
		e, rest, err := ipc.CutEntry(space[:copy(space, bad)])
		require.ErrorIs(t, err, ipc.ErrProtocol, what)
		require.Nil(t, rest, what)
		require.Nil(t, e.Result, what)
		require.Nil(t, e.Body, what)
	}
	whole := entry(8, 8)
	e, rest, err := ipc.CutEntry(whole)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Len(t, e.Result, 8)
}

// cutLikeAHost cuts what a worker may have written until that fails or nothing is left, and holds every entry against the bytes.
func cutLikeAHost(t *testing.T, taken []byte) {
	for len(taken) > 0 {
		e, rest, err := ipc.CutEntry(taken)
		if err != nil {
			require.ErrorIs(t, err, ipc.ErrProtocol)
			require.Nil(t, rest)
			require.Nil(t, e.Result)
			require.Nil(t, e.Body)
			length := math.MaxInt
			if len(taken) >= head {
				length = int(binary.NativeEndian.Uint32(taken) & math.MaxInt32)
			}
			require.Greater(t, length, len(taken)-head, "it was whole")
			return
		}
		text, flag := e.Result, uint32(0)
		if e.Body != nil {
			text, flag = e.Body, 1<<31
		}
		require.NotNil(t, text)
		require.False(t, e.Result != nil && e.Body != nil)
		require.Equal(t, binary.NativeEndian.Uint32(taken), uint32(len(text))|flag)
		require.EqualValues(t, binary.NativeEndian.Uint32(taken[4:]), e.Took)
		require.Equal(t, binary.NativeEndian.Uint64(taken[8:]), e.ID)
		require.LessOrEqual(t, head+len(text), len(taken))
		require.Equal(t, taken[head:head+len(text)], text)
		used := len(taken) - len(rest)
		require.Equal(t, (head+len(text)+7)/8*8, used)
		require.Equal(t, taken[used:], rest)
		taken = rest
	}
}

// FuzzCutEntry cuts what a hostile worker may have left in its ring. It is a multiple of eight bytes: Take takes nothing else.
func FuzzCutEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 8))
	f.Add(make([]byte, 64))
	f.Add(bytes.Repeat([]byte{0xFF}, 64))
	for _, length := range []uint32{0, 1, 8, 9, 16, 17, math.MaxInt32, 1 << 31, 1<<31 | 8, 1<<31 | 9, math.MaxUint32, math.MaxUint32 - 7} {
		f.Add(append(binary.NativeEndian.AppendUint32(nil, length), make([]byte, 12+8)...))
		f.Add(append(binary.NativeEndian.AppendUint32(make([]byte, head), length), make([]byte, 12+16)...))
	}
	f.Fuzz(func(t *testing.T, entries []byte) {
		n := len(entries) &^ 7
		space := append(bytes.Clone(entries[:n]), bytes.Repeat([]byte{0xEE}, 64)...)
		cutLikeAHost(t, space[:n])
		require.Equal(t, entries[:n], space[:n], "left alone")
	})
}

// FuzzRingTake runs a script of steps of the host, steps of a worker, and scribbles of it over all that it can reach. As long as it does not
// scribble, all that it puts comes back; and whatever it does, the host takes no more than there is.
func FuzzRingTake(f *testing.F) {
	const put, message, taking, sleep, tell, produce, consume, data = 0, 1, 2, 3, 4, 5, 6, 7
	word := func(op byte, n uint64) string { return string(binary.BigEndian.AppendUint64([]byte{op}, n)) }
	for _, script := range []string{
		"\x00\x05\x01\x09\x02\x03\x04\x00\x00\x04\x02",
		"\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x02\x00\xff\x02",
		word(produce, 8) + "\x02", word(produce, 4096) + "\x02", word(produce, 4104) + "\x02", word(produce, 4) + "\x02", word(produce, math.MaxUint64) + "\x02",
		"\x00\x10\x02" + word(produce, 0) + "\x03\x02", word(consume, math.MaxUint64) + "\x00\xff\x02", word(consume, 1<<63) + "\x00\xff\x00\x01\x02",
		"\x00\x10" + word(data, 0xFFFFFFFFFFFF0000) + "\x02", "\x00\x10" + word(data, 0x0900000000000000) + "\x02", "\x03\x00\x01\x04\x04\x02\x03",
	} {
		f.Add([]byte(script))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		next := func(n int) uint64 {
			var b [8]byte
			script = script[copy(b[8-n:], script[:min(n, len(script))]):]
			return binary.BigEndian.Uint64(b[:])
		}
		mem := shared(smallest)
		worker, host := sides(t, mem)
		var at, id uint64
		var waiting []ipc.Entry
		honest, asleep := true, false
		for len(script) > 0 {
			switch next(1) % 8 {
			case put, message:
				id++
				e := filled(id, head+4*int(next(1)))
				if id%3 == 0 {
					e.Result, e.Body = nil, e.Result
				}
				was := binary.NativeEndian.Uint64(mem[atProduced:])
				if worker.Put(e) {
					waiting = append(waiting, e)
				} else {
					require.Equal(t, was, binary.NativeEndian.Uint64(mem[atProduced:]))
				}
			case taking:
				produced := binary.NativeEndian.Uint64(mem[atProduced:])
				taken, err := host.Take(nil)
				if n := produced - at; n > smallest || n%8 != 0 {
					require.ErrorIs(t, err, ipc.ErrProtocol)
					require.Empty(t, taken)
					return // it is killed
				}
				require.NoError(t, err)
				require.Len(t, taken, int(produced-at))
				for i, b := range taken {
					require.Equal(t, mem[atEntries+(at+uint64(i))%smallest], b)
				}
				if at = produced; len(taken) > 0 {
					require.Equal(t, at, binary.NativeEndian.Uint64(mem[atConsumed:]))
				}
				cutLikeAHost(t, taken)
				if honest {
					require.Equal(t, waiting, cutAll(t, taken))
				}
				waiting = nil
			case sleep:
				asleep = host.Sleep()
				require.Equal(t, binary.NativeEndian.Uint64(mem[atProduced:]) == at, asleep)
			case tell:
				got := worker.Tell()
				if honest {
					require.Equal(t, asleep && len(waiting) > 0, got)
				}
				asleep = asleep && !got
			case produce:
				honest = false
				binary.NativeEndian.PutUint64(mem[atProduced:], next(8))
			case consume:
				honest = false
				binary.NativeEndian.PutUint64(mem[atConsumed:], next(8))
			case data:
				honest = false
				scribble := next(8)
				binary.NativeEndian.PutUint64(mem[atEntries+scribble%(smallest/8)*8:], scribble)
			}
		}
	})
}

// What is cut inside the padding of its last entry is an error, and no panic.
func TestAnEntryCutInItsPadding(t *testing.T) {
	for length := uint32(1); length < 8; length++ {
		cut := append(binary.NativeEndian.AppendUint32(nil, length), make([]byte, head-4+int(length))...)
		require.NotPanics(t, func() { _, _, _ = ipc.CutEntry(cut[:len(cut):len(cut)]) }, "%d bytes and no padding", length)
	}
}
