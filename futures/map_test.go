package futures_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// counted yields 0, 1, 2 ... and says in taken how many were taken.
func counted(taken *int, limit int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; limit < 0 || i < limit; i++ {
			*taken++
			if !yield(i) {
				return
			}
		}
	}
}

const endless = -1

// got is what one turn of a loop over a Map got.
type got struct {
	value int
	err   error
}

// stepwise ranges over seq in a goroutine of its own, as far as the test lets it. The test sees all that was yielded so
// far, and says on when the loop's body may end.
func stepwise(seq iter.Seq2[int, error]) (items *[]got, on chan bool, over chan struct{}) {
	items, on, over = new([]got), make(chan bool), make(chan struct{})
	go func() {
		defer close(over)
		for value, err := range seq {
			*items = append(*items, got{value, err})
			if !<-on {
				break
			}
		}
	}()
	return items, on, over
}

func all(seq iter.Seq2[int, error]) (items []got) {
	for value, err := range seq {
		items = append(items, got{value, err})
	}
	return items
}

func errorsOf(items []got) (n int) {
	for _, i := range items {
		if i.err != nil {
			n++
		}
	}
	return n
}

// executor.py::ExecutorTest::test_map, rows E20 and E22: input order, whatever the order of completion
func TestMapYieldsInInputOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(desk)
		items, on, over := stepwise(futures.Map(t.Context(), d, double, slices.Values([]int{1, 2, 3})))
		synctest.Wait()
		assert.Equal(t, []int{1, 1, 1}, d.handedOver(), "one by one without Chunksize")
		a, b, c := d.next(t), d.next(t), d.next(t)
		for _, h := range []*held{c, b} {
			require.True(t, h.Start())
			h.Invoke(h.Context())
			synctest.Wait()
			assert.Empty(t, *items)
		}
		require.True(t, a.Start())
		a.Invoke(a.Context())
		for range 3 {
			on <- true
		}
		<-over
		assert.Equal(t, []got{{2, nil}, {4, nil}, {6, nil}}, *items)
	})
}

// row E21 and test_thread_pool::test_map_submits_without_iteration, divergence: nothing happens until it is ranged over;
// row E29: and so nothing is left to cancel
func TestMapIsLazy(t *testing.T) {
	taken := 0
	d := new(desk)
	_ = futures.Map(t.Context(), d, double, counted(&taken, endless))
	_ = futures.MapUnordered(t.Context(), d, double, counted(&taken, endless))
	assert.Zero(t, taken)
	assert.Empty(t, d.handedOver())
}

func TestMapStartsOverWithEachRange(t *testing.T) {
	taken := 0
	seq := futures.Map(t.Context(), new(inline), double, counted(&taken, 3))
	assert.Equal(t, all(seq), all(seq))
	assert.Equal(t, 6, taken)
}

// executor.py::ExecutorTest::test_map_buffersize_without_iterable and test_map_buffersize_on_empty_iterable, row E23:
// also on an executor that takes nothing
func TestMapOfNothing(t *testing.T) {
	d := new(desk)
	require.NoError(t, d.Close())
	assert.Empty(t, all(futures.Map(t.Context(), d, double, slices.Values([]int{}), futures.Buffersize(1))))
	for range futures.MapUnordered(t.Context(), d, double, slices.Values([]int{})) {
		assert.Fail(t, "there is nothing to yield")
	}
	assert.Empty(t, d.handedOver())
}

// executor.py::ExecutorTest::test_map_exception in its form of CPython 3.16, row E25b: an error takes its item's place and
// the rest goes on
func TestMapGoesOnAfterAnError(t *testing.T) {
	e := new(inline)
	items := all(futures.Map(t.Context(), e, oddFails, slices.Values([]int{0, 1, 2, 3, 4})))
	require.Len(t, items, 5)
	for i, item := range items {
		if i%2 == 1 {
			assert.ErrorIs(t, item.err, errBoom)
			assert.Zero(t, item.value)
			continue
		}
		assert.Equal(t, got{2 * i, nil}, item)
	}
}

// executor.py::ExecutorTest::test_map_buffersize_when_buffer_is_full and test_map_buffersize, rows E34 and E35: b inputs
// are outstanding between two results, b+1 while one is awaited
func TestMapTakesNoMoreInputsThanItsBuffer(t *testing.T) {
	for _, b := range []int{1, 2, 7} {
		t.Run(fmt.Sprint("buffersize ", b), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := new(desk)
				taken := 0
				items, on, over := stepwise(futures.Map(t.Context(), d, double, counted(&taken, endless), futures.Buffersize(b)))
				for i := range 5 {
					synctest.Wait()
					assert.Equal(t, b+1+i, taken, "while result %d is awaited", i)
					assert.Equal(t, b+1, d.holding())
					d.run(t, 1)
					synctest.Wait()
					assert.Equal(t, b+1+i, taken, "while the consumer has result %d", i)
					assert.Len(t, *items, i+1)
					on <- i < 4
				}
				<-over
				assert.Equal(t, b+5, taken, "breaking off takes nothing more")
				for range b { // row E29
					assert.False(t, d.next(t).Start(), "what has not started is cancelled")
				}
				assert.Len(t, d.cancelled, b)
			})
		})
	}
}

func TestMapBufferIsBoundedByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for want, opts := range map[int][]futures.MapOption{
			1024 + 1:   nil,
			2*1000 + 1: {futures.Chunksize(1000)},
		} {
			d := new(desk)
			taken := 0
			ctx, cancel := context.WithCancel(t.Context())
			_, _, over := stepwiseUnattended(futures.Map(ctx, d, double, counted(&taken, endless), opts...))
			synctest.Wait()
			assert.Equal(t, want, taken)
			cancel()
			<-over
		}
	})
}

// stepwiseUnattended is stepwise with nobody to wait for.
func stepwiseUnattended(seq iter.Seq2[int, error]) (*[]got, chan bool, chan struct{}) {
	items, on, over := stepwise(seq)
	close(on) // the first item ends the loop
	return items, on, over
}

// executor.py::ExecutorTest::test_map_buffersize_on_infinite_iterable: and a result that is ready is not held back until
// the buffer is full
func TestMapYieldsAReadyResultBeforeItTakesTheNextInput(t *testing.T) {
	taken := 0
	want := 1
	for value, err := range futures.Map(t.Context(), new(inline), double, counted(&taken, endless)) {
		require.NoError(t, err)
		require.Equal(t, want, taken)
		require.Equal(t, 2*(want-1), value)
		if want++; want > 100 {
			break
		}
	}
}

// test_process_pool::test_map_chunksize, rows P70 and P71
func TestMapHandsChunksOver(t *testing.T) {
	for _, tt := range []struct {
		chunk, buffer, inputs int
		sizes                 []int
	}{
		{1, 100, 3, []int{1, 1, 1}},
		{2, 100, 5, []int{2, 2, 1}},
		{5, 100, 5, []int{5}},
		{7, 100, 5, []int{5}},
	} {
		t.Run(fmt.Sprintf("%d by %d", tt.inputs, tt.chunk), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := new(chunkDesk)
				taken := 0
				seq := futures.Map(t.Context(), d, oddFails, counted(&taken, tt.inputs), futures.Chunksize(tt.chunk), futures.Buffersize(tt.buffer))
				items, on, over := stepwise(seq)
				synctest.Wait()
				assert.Equal(t, tt.sizes, d.handedOver())
				d.run(t, tt.inputs)
				close(on) // which breaks the Map off, and would cancel what has not run
				<-over
				assert.Equal(t, got{0, nil}, (*items)[0])
			})
		})
	}
}

// row P72, divergence: the items of one chunk have each their own fate
func TestItemsOfAChunkFailOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(chunkDesk)
		taken := 0
		items, on, over := stepwise(futures.Map(t.Context(), d, oddFails, counted(&taken, 4), futures.Chunksize(4)))
		synctest.Wait()
		d.run(t, 4)
		for range 4 {
			on <- true
		}
		<-over
		require.Len(t, *items, 4)
		assert.Equal(t, 2, errorsOf(*items))
		assert.Equal(t, got{4, nil}, (*items)[2])
	})
}

// An executor that takes no chunks gets the calls one by one, and at once.
func TestMapHandsChunksToAnyExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(desk)
		taken := 0
		_, _, over := stepwiseUnattended(futures.Map(t.Context(), d, double, counted(&taken, 5), futures.Chunksize(2)))
		synctest.Wait()
		assert.Equal(t, []int{1, 1, 1, 1, 1}, d.handedOver())
		d.run(t, 5)
		<-over
	})
}

// Chunks stay whole while the buffer is full, which is where a Map with slow calls spends its life.
func TestMapKeepsItsChunksWholeWhenItsBufferIsFull(t *testing.T) {
	forEachMapping(t, func(t *testing.T, mapping mapping) {
		d := new(chunkDesk)
		taken := 0
		items, on, over := stepwise(mapping(t.Context(), d, double, counted(&taken, 20), futures.Chunksize(4), futures.Buffersize(8)))
		for range 20 {
			synctest.Wait()
			d.run(t, 1)
			on <- true
		}
		<-over
		assert.Equal(t, 0, errorsOf(*items))
		assert.Equal(t, []int{4, 4, 4, 4, 4}, d.handedOver())
	})
}

// A chunk that the buffer has no room for goes as far as it got: nobody waits for what was never submitted.
func TestABufferSmallerThanTheChunk(t *testing.T) {
	forEachMapping(t, func(t *testing.T, mapping mapping) {
		d := new(chunkDesk)
		taken := 0
		items, on, over := stepwise(mapping(t.Context(), d, double, counted(&taken, 6), futures.Chunksize(100), futures.Buffersize(2)))
		for range 6 {
			synctest.Wait()
			d.run(t, 1)
			on <- true
		}
		<-over
		assert.Len(t, *items, 6)
		assert.Equal(t, []int{3, 3}, d.handedOver())
	})
}

// executor.py::ExecutorTest::test_map_buffersize_type_validation and test_map_buffersize_value_validation, rows E33 and
// P70: nothing is taken
func TestMapWithAWrongOptionYieldsOneError(t *testing.T) {
	for text, opt := range map[string]futures.MapOption{
		"futures: Buffersize: 0 is less than 1":  futures.Buffersize(0),
		"futures: Chunksize: -1 is less than 1":  futures.Chunksize(-1),
		"futures: Timeout: -1ns is not positive": futures.Timeout(-1),
		"futures: Retries: -2 is negative":       futures.Retries(-2),
	} {
		t.Run(text, func(t *testing.T) {
			d := new(desk)
			taken := 0
			items := all(futures.Map(t.Context(), d, double, counted(&taken, endless), opt))
			require.Len(t, items, 1)
			assert.EqualError(t, items[0].err, text)
			n := 0
			for item, err := range futures.MapUnordered(t.Context(), d, double, counted(&taken, endless), opt) {
				n++
				assert.Equal(t, -1, item.Index)
				assert.EqualError(t, err, text)
			}
			assert.Equal(t, 1, n)
			assert.Zero(t, taken)
			assert.Empty(t, d.handedOver())
		})
	}
}

func TestMapWithoutInputsOrExecutorYieldsOneError(t *testing.T) {
	items := all(futures.Map(t.Context(), new(desk), double, nil))
	require.Len(t, items, 1)
	assert.EqualError(t, items[0].err, "futures: Map: inputs is nil")
	for _, err := range futures.MapUnordered(t.Context(), new(desk), double, nil) {
		assert.EqualError(t, err, "futures: MapUnordered: inputs is nil")
	}
	taken := 0
	items = all(futures.Map(t.Context(), nil, double, counted(&taken, endless)))
	require.Len(t, items, 1)
	assert.EqualError(t, items[0].err, "futures: Submit: the executor is nil")
	assert.Equal(t, 1, taken)
}

// rows E24 and E36, divergence: what is in the buffer is yielded, then the refusal, then nothing
func TestMapEndsWithTheRefusal(t *testing.T) {
	for _, why := range []error{futures.ErrShutdown, fmt.Errorf("%w: all gone", futures.ErrBrokenExecutor)} {
		t.Run(why.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := new(desk)
				taken := 0
				items, on, over := stepwise(futures.Map(t.Context(), d, double, counted(&taken, endless), futures.Buffersize(2)))
				synctest.Wait()
				d.run(t, 1)
				d.refuse(why)
				on <- true
				synctest.Wait()
				d.run(t, 2)
				for range 3 {
					on <- true
				}
				<-over
				assert.Equal(t, []got{{0, nil}, {2, nil}, {4, nil}, {0, why}}, *items)
				assert.Equal(t, 4, taken)
			})
		})
	}
}

func TestMapUnorderedEndsWithTheRefusal(t *testing.T) {
	d := new(desk)
	d.refuse(futures.ErrShutdown)
	taken, n := 0, 0
	for item, err := range futures.MapUnordered(t.Context(), d, double, counted(&taken, endless)) {
		n++
		assert.Equal(t, futures.Item[int, int]{}, item)
		assert.Equal(t, futures.ErrShutdown, err)
	}
	assert.Equal(t, 1, n)
	assert.Equal(t, 1, taken)
}

// A function that fails with the words of a refusal fails its own item only.
func TestAFunctionThatSaysShutdownDoesNotEndTheMap(t *testing.T) {
	liar := futures.NewFunc("liar", func(context.Context, int) (int, error) { return 0, futures.ErrShutdown })
	taken := 0
	items := all(futures.Map(t.Context(), new(inline), liar, counted(&taken, 3)))
	assert.Len(t, items, 3)
	assert.Equal(t, 3, errorsOf(items))
}

// rows E26 and E28, divergence: the bound is the ctx of the calls. What finished is yielded, what did not start is
// cancelled, and no input is taken any more.
func TestMapEndsWithItsCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(desk)
		ctx, cancel := context.WithCancelCause(t.Context())
		taken := 0
		items, on, over := stepwise(futures.Map(ctx, d, double, counted(&taken, endless), futures.Buffersize(3)))
		synctest.Wait()
		second := func() *held { first := d.next(t); h := d.next(t); d.held = append([]*held{first}, d.held...); return h }()
		require.True(t, second.Start())
		second.Invoke(second.Context()) // row E27
		late := errors.New("late")
		cancel(late)
		for range 5 {
			on <- true
		}
		<-over
		require.Len(t, *items, 5)
		assert.Equal(t, got{2, nil}, (*items)[1], "what finished before is still a result")
		for _, i := range []int{0, 2, 3, 4} {
			assert.ErrorIs(t, (*items)[i].err, futures.ErrCancelled)
			assert.ErrorIs(t, (*items)[i].err, late)
		}
		assert.Equal(t, 5, taken, "the buffer, and one that found the ctx done")
	})
}

func TestMapEndsWithItsCtxInTheMiddleOfAChunk(t *testing.T) {
	for _, chunk := range []int{2, 10} {
		ctx, cancel := context.WithCancel(t.Context())
		d := new(chunkDesk)
		inputs := func(yield func(int) bool) {
			for i := 0; yield(i); i++ {
				if i == 2 {
					cancel()
				}
			}
		}
		items := all(futures.Map(ctx, d, double, inputs, futures.Chunksize(chunk), futures.Buffersize(3)))
		assert.Len(t, items, 4)
		assert.Equal(t, 4, errorsOf(items))
	}
}

// row E37: a panic in the inputs reaches the caller, and the rest is cancelled
func TestAPanicOfTheInputsCancelsTheRest(t *testing.T) {
	inputs := func(yield func(int) bool) {
		_ = yield(1) && yield(2)
		panic("no more inputs")
	}
	d := new(desk)
	assert.PanicsWithValue(t, "no more inputs", func() { all(futures.Map(t.Context(), d, double, inputs)) })
	assert.Len(t, d.cancelled, 2)
	d = new(desk)
	assert.PanicsWithValue(t, "no more inputs", func() {
		for range futures.MapUnordered(t.Context(), d, double, inputs) {
		}
	})
	assert.Len(t, d.cancelled, 2)
}

// row E29
func TestAPanicInTheLoopCancelsTheRest(t *testing.T) {
	d := new(desk)
	inputs := func(yield func(int) bool) {
		if yield(1) && yield(2) {
			d.run(t, 1)
			yield(3)
		}
	}
	assert.PanicsWithValue(t, "enough", func() {
		for range futures.Map(t.Context(), d, double, inputs) {
			panic("enough")
		}
	})
	assert.Len(t, d.cancelled, 2)
}

// Breaking off lets a call that runs go on, unobserved.
func TestBreakingOffDoesNotTouchWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(desk)
		taken := 0
		_, on, over := stepwise(futures.Map(t.Context(), d, double, counted(&taken, endless), futures.Buffersize(2)))
		synctest.Wait()
		first, second := d.next(t), d.next(t)
		require.True(t, second.Start())
		require.True(t, first.Start())
		first.Invoke(first.Context())
		on <- false
		<-over
		assert.Empty(t, d.interrupted)
		assert.NoError(t, second.Context().Err())
		second.Invoke(second.Context())
		assert.Len(t, d.cancelled, 1)
	})
}

// Calls of a chunk that was never submitted are cancelled too, and the executor never sees them.
func TestBreakingOffInTheMiddleOfAChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(chunkDesk)
		taken := 0
		_, on, over := stepwise(futures.Map(t.Context(), d, double, counted(&taken, endless), futures.Chunksize(2), futures.Buffersize(4)))
		synctest.Wait()
		assert.Equal(t, []int{2, 2}, d.handedOver())
		assert.Equal(t, 5, taken)
		d.run(t, 1)
		on <- false
		<-over
		assert.Equal(t, []int{2, 2}, d.handedOver())
		assert.Len(t, d.cancelled, 3)
	})
}

func TestMapUnorderedYieldsInTheOrderOfCompletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(desk)
		var items []futures.Item[int, int]
		over := make(chan struct{})
		go func() {
			defer close(over)
			for item, err := range futures.MapUnordered(t.Context(), d, double, slices.Values([]int{10, 20, 30})) {
				assert.NoError(t, err)
				items = append(items, item)
			}
		}()
		synctest.Wait()
		a, b, c := d.next(t), d.next(t), d.next(t)
		for _, h := range []*held{c, a, b} {
			require.True(t, h.Start())
			h.Invoke(h.Context())
			synctest.Wait()
		}
		<-over
		assert.Equal(t, []futures.Item[int, int]{{Index: 2, In: 30, Out: 60}, {Index: 0, In: 10, Out: 20}, {Index: 1, In: 20, Out: 40}}, items)
	})
}

func TestMapUnorderedNamesTheInputThatFailed(t *testing.T) {
	var failed []futures.Item[int, int]
	for item, err := range futures.MapUnordered(t.Context(), new(inline), oddFails, slices.Values([]int{4, 5, 6, 7})) {
		if err != nil {
			assert.ErrorIs(t, err, errBoom)
			failed = append(failed, item)
		}
	}
	assert.Equal(t, []futures.Item[int, int]{{Index: 1, In: 5}, {Index: 3, In: 7}}, failed)
}

// rows E34 and E35 for MapUnordered: the counts are the same
func TestMapUnorderedTakesNoMoreInputsThanItsBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(chunkDesk)
		taken := 0
		items, on, over := stepwise(unordered(t.Context(), d, double, counted(&taken, endless), futures.Buffersize(3)))
		for i := range 4 {
			synctest.Wait()
			assert.Equal(t, 4+i, taken)
			d.run(t, 1)
			synctest.Wait()
			assert.Len(t, *items, i+1)
			assert.Equal(t, 4+i, taken)
			on <- i < 3
		}
		<-over
		assert.Len(t, d.cancelled, 3)
	})
}

// executor.py::ExecutorTest::test_free_reference, row E31
func TestMapKeepsNothingThatItYielded(t *testing.T) {
	grow := futures.NewFunc("grow", func(_ context.Context, n int) (*[1 << 16]byte, error) { return &[1 << 16]byte{byte(n)}, nil })
	inputs := slices.Values([]int{1, 2, 3})
	for value, err := range futures.Map(t.Context(), new(inlineForgetful), grow, inputs) {
		require.NoError(t, err)
		gone := weak.Make(value)
		value = nil
		requireFreed(t, gone)
	}
	for item, err := range futures.MapUnordered(t.Context(), new(inlineForgetful), grow, inputs) {
		require.NoError(t, err)
		gone := weak.Make(item.Out)
		item.Out = nil
		requireFreed(t, gone)
	}
}

// inlineForgetful is an inline that keeps no call.
type inlineForgetful struct{ inline }

func (e *inlineForgetful) Submit(c futures.Call) {
	e.inline.Submit(c)
	e.held = nil
}
