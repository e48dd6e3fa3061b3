package futures_test

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A chunkDesk is a desk that takes chunks of numbers, or of texts.
type chunkDesk struct {
	desk
	size   int // of a chunk, if the user does not say; zero means 1
	chunks []*heldChunk
}

// heldChunk is a chunk on the desk, which answers for it.
type heldChunk struct {
	futures.Chunk
	desk *chunkDesk
	ran  int
}

func (d *chunkDesk) ChunkSize(futures.Callable) int { return max(d.size, 1) }

var errShy = errors.New("a shy argument")

func (d *chunkDesk) EncodeArg(dst []byte, _ futures.Callable, arg any) ([]byte, error) {
	switch arg := arg.(type) {
	case *int:
		if *arg < 0 {
			return dst, errShy
		}
		return binary.AppendUvarint(dst, uint64(*arg)), nil
	default:
		text := *arg.(*string)
		return append(binary.AppendUvarint(dst, uint64(len(text))), text...), nil
	}
}

func (d *chunkDesk) SubmitChunk(c futures.Chunk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes = append(d.sizes, c.Len())
	if d.refusal != nil {
		for n := range c.Len() {
			c.Reject(n, d.refusal)
		}
		return
	}
	if h := (&heldChunk{Chunk: c, desk: d}); c.Hold(h) {
		d.chunks = append(d.chunks, h)
	}
}

func (h *heldChunk) Cancelled() {
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	for n := h.ran; n < h.Len(); n++ {
		if h.Reject(n, h.Chunk.Cancelled()) {
			h.desk.cancelled = append(h.desk.cancelled, nil)
		}
	}
	h.ran = h.Len()
}

func (h *heldChunk) Interrupt(cause error) {
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	h.desk.interrupted = append(h.desk.interrupted, cause)
}

// run runs the n oldest calls that were not cancelled.
func (d *chunkDesk) run(t testing.TB, n int) {
	t.Helper()
	for range n {
		d.mu.Lock()
		for len(d.chunks) > 0 && d.chunks[0].ran == d.chunks[0].Len() {
			d.chunks = d.chunks[1:]
		}
		if len(d.chunks) == 0 {
			d.mu.Unlock()
			assert.FailNow(t, "the desk is empty")
		}
		h := d.chunks[0]
		call := h.ran
		h.ran++
		d.mu.Unlock()
		in, _ := binary.Uvarint(h.Args(call, call+1))
		v := h.Func().NewInvocation()
		*v.Arg().(*int) = int(in)
		if err := v.Run(h.Context()); err != nil {
			h.Reject(call, err)
			continue
		}
		*h.Out(call).(*int) = *v.Result().(*int)
		h.Resolve(call)
	}
}

var _ futures.Chunker = (*chunkDesk)(nil)

// A mapping is one of the two ways to map, with what Map yields.
type mapping func(context.Context, futures.Executor, futures.Func[int, int], iter.Seq[int], ...futures.MapOption) iter.Seq2[int, error]

var mappings = map[string]mapping{
	"Map":          futures.Map[int, int],
	"MapUnordered": unordered,
}

func unordered(ctx context.Context, ex futures.Executor, fn futures.Func[int, int], in iter.Seq[int], opts ...futures.MapOption) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for item, err := range futures.MapUnordered(ctx, ex, fn, in, opts...) {
			if !yield(item.Out, err) {
				return
			}
		}
	}
}

func forEachMapping(t *testing.T, test func(*testing.T, mapping)) {
	for name, mapping := range mappings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, mapping) })
		})
	}
}

// slowly yields numbers, each when the test says so.
func slowly(next <-chan int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := range next {
			if !yield(n) {
				return
			}
		}
	}
}

// The executor is not kept waiting for a chunk to become full.
func TestAChunkDoesNotWaitForSlowInputs(t *testing.T) {
	forEachMapping(t, func(t *testing.T, mapping mapping) {
		d := &chunkDesk{size: 100}
		inputs := make(chan int)
		items, on, over := stepwise(mapping(t.Context(), d, double, slowly(inputs)))
		close(on)
		inputs <- 1
		inputs <- 2
		synctest.Wait()
		assert.Empty(t, d.handedOver(), "the third may come any moment")
		time.Sleep(time.Millisecond) // of the bubble: nothing else can happen
		synctest.Wait()
		assert.Equal(t, []int{2}, d.handedOver())
		inputs <- 3
		close(inputs)
		synctest.Wait()
		assert.Equal(t, []int{2, 1}, d.handedOver(), "nor after the last one")
		d.run(t, 3)
		<-over
		assert.Equal(t, []got{{2, nil}}, *items)
	})
}

// A user who has chosen the size gets it.
func TestAChunkOfAChosenSizeWaitsForItsInputs(t *testing.T) {
	forEachMapping(t, func(t *testing.T, mapping mapping) {
		d := &chunkDesk{size: 100}
		inputs := make(chan int)
		_, on, over := stepwise(mapping(t.Context(), d, double, slowly(inputs), futures.Chunksize(2)))
		close(on)
		inputs <- 1
		time.Sleep(time.Hour) // of the bubble
		assert.Empty(t, d.handedOver())
		inputs <- 2
		close(inputs)
		synctest.Wait()
		assert.Equal(t, []int{2}, d.handedOver())
		d.run(t, 2)
		<-over
	})
}

// The buffer bounds chunks of the executor's size: several fit.
func TestTheExecutorsSizeHeedsAChosenBuffer(t *testing.T) {
	forEachMapping(t, func(t *testing.T, mapping mapping) {
		d := &chunkDesk{size: 100}
		taken := 0
		items, on, over := stepwise(mapping(t.Context(), d, double, counted(&taken, 16), futures.Buffersize(8)))
		for range 16 {
			synctest.Wait()
			d.run(t, 1)
			on <- true
		}
		<-over
		assert.Len(t, *items, 16)
		assert.Zero(t, errorsOf(*items))
		assert.Equal(t, 2, slices.Max(d.handedOver()))
	})
}

func TestAChunkIsFullOfBytesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fn := futures.NewFunc("len", func(_ context.Context, s string) (int, error) { return len(s), nil })
		d := &chunkDesk{size: 100}
		ctx, cancel := context.WithCancel(t.Context())
		_, on, over := stepwise(futures.Map(ctx, d, fn, slices.Values(slices.Repeat([]string{strings.Repeat("x", 40_000)}, 5))))
		close(on)
		synctest.Wait()
		assert.Equal(t, []int{2, 2, 1}, d.handedOver())
		cancel()
		<-over
	})
}

// An argument that cannot be encoded fails its own call, in its place.
func TestAnArgumentThatCannotBeEncodedFailsAlone(t *testing.T) {
	forEachMapping(t, func(t *testing.T, mapping mapping) {
		d := &chunkDesk{size: 100}
		items, on, over := stepwise(mapping(t.Context(), d, double, slices.Values([]int{1, -1, 2})))
		done := 0
		for range 3 {
			synctest.Wait()
			if len(*items) == done { // the loop waits for a result
				d.run(t, 1)
				synctest.Wait()
			}
			done++
			on <- true
		}
		<-over
		assert.ElementsMatch(t, []got{{2, nil}, {0, errShy}, {4, nil}}, *items)
		assert.Equal(t, []int{1, 1}, d.handedOver())
	})
}

// rows E24 and E36 for chunks: every call of the one that was refused says so, and it is the last
func TestMapEndsWithTheRefusalOfAChunk(t *testing.T) {
	forEachMapping(t, func(t *testing.T, mapping mapping) {
		d := &chunkDesk{size: 3}
		d.refuse(futures.ErrShutdown)
		taken := 0
		items := all(mapping(t.Context(), d, double, counted(&taken, endless)))
		assert.Equal(t, slices.Repeat([]got{{0, futures.ErrShutdown}}, 3), items)
		assert.Equal(t, 3, taken)
	})
}

// The ctx ends what has not started, wherever it is, and the executor is told of what has.
func TestTheCtxOfAMapEndsItsChunks(t *testing.T) {
	forEachMapping(t, func(t *testing.T, mapping mapping) {
		d := &chunkDesk{size: 2}
		ctx, cancel := context.WithCancelCause(t.Context())
		inputs := make(chan int)
		items, on, over := stepwise(mapping(ctx, d, double, slowly(inputs)))
		for n := range 3 { // the third is in a chunk that was not handed over
			inputs <- n
		}
		synctest.Wait()
		d.run(t, 1)
		late := errors.New("late")
		cancel(late)
		synctest.Wait()
		assert.Equal(t, []int{2}, d.handedOver())
		assert.Equal(t, []error{late}, d.interrupted)
		assert.Len(t, d.cancelled, 1)
		inputs <- 3
		on <- false
		<-over
		assert.Equal(t, []got{{0, nil}}, *items)
	})
}

// Whoever has settled a call has done so once, and others are told no.
func TestACallOfAChunkIsSettledOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &chunkDesk{size: 2}
		_, on, over := stepwise(futures.Map(t.Context(), d, double, slices.Values([]int{1, 2})))
		synctest.Wait()
		c := d.chunks[0]
		var won sync.Map
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if i%2 == 0 && c.Resolve(0) || i%2 == 1 && c.Reject(0, errBoom) {
					_, twice := won.LoadOrStore("won", i)
					assert.False(t, twice)
				}
			})
		}
		wg.Wait()
		_, settled := won.Load("won")
		assert.True(t, settled)
		assert.True(t, c.Reject(1, nil), "a rejection without a reason is one")
		assert.False(t, c.Resolve(1))
		on <- false
		<-over
	})
}
