//go:build unix

package conformance_test

import (
	"slices"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// completedPorts are test_as_completed.py.
var completedPorts = []port{
	{"test_as_completed", "test_no_timeout", "C1 C2", everywhere | sharing, completedInOrder},
	{"test_as_completed", "test_future_times_out", "C3 C4", everywhere | sharing, completedTimesOut},
	{"test_as_completed", "test_duplicate_futures", "C1", everywhere | sharing, completedDuplicates},
	{"test_as_completed", "test_free_reference_yielded_future", "C7", everywhere | sharing, completedFreesFutures},
	{"test_as_completed", "test_correct_timeout_exception_msg", "C3", everywhere | sharing, completedCounts},
}

func completedInOrder(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
	fs := submitAll(ctx, ex, pass, d.errands(2)...)
	both := d.meetAll(2)
	cancelled, failed, succeeded := cancelledBefore(t), failedBefore(t), succeededBefore(t)
	var order intFutures
	for f, err := range futures.AsCompleted(ctx, append(intFutures{cancelled, failed, succeeded}, fs...)) {
		require.NoError(t, err)
		order = append(order, f)
		switch len(order) {
		case 3: // those that were done before have all come
			both[1].tell(passOn)
		case 4:
			both[0].tell(passOn)
		}
	}
	require.Len(t, order, 5)
	for _, f := range (intFutures{cancelled, failed, succeeded}) {
		assert.True(t, slices.Contains(order[:3], f), f)
	}
	assert.Equal(t, intFutures{fs[1], fs[0]}, order[3:], "in the order in which they finished")
}

func completedTimesOut(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 1), newDoor(t)
	finished := futures.Submit(ctx, ex, power, pair{6, 2})
	require.NoError(t, finished.Err(ctx))
	stuck := futures.Submit(ctx, ex, pass, d.at(0))
	var yielded intFutures
	var last error
	for f, err := range futures.AsCompleted(impatient(), intFutures{stuck, cancelledBefore(t), finished, failedBefore(t)}) {
		if err != nil {
			require.NoError(t, last)
			last = err
			continue
		}
		yielded = append(yielded, f)
	}
	assert.Len(t, yielded, 3, "whatever is done comes, even if there is no time")
	assert.False(t, slices.Contains(yielded, stuck))
	var unfinished *futures.UnfinishedError
	require.ErrorAs(t, last, &unfinished)
}

func completedDuplicates(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	f := futures.Submit(ctx, ex, power, pair{1, 1})
	n := 0
	for got, err := range futures.AsCompleted(ctx, intFutures{f, f}) {
		require.NoError(t, err)
		assert.Same(t, f, got)
		n++
	}
	assert.Equal(t, 1, n)
}

func completedFreesFutures(t *testing.T, e executor) {
	ctx, ex := within(t), e.open(t, 1)
	fs := make([]*futures.Future[*parcel], 3)
	for i := range fs {
		fs[i] = futures.Submit(ctx, ex, makeParcel, i)
	}
	results := futures.AsCompleted(ctx, fs)
	var yielded []weak.Pointer[futures.Future[*parcel]]
	for f, err := range results {
		require.NoError(t, err)
		for i := range fs { // whoever gave them away lets go of them
			if fs[i] == f {
				fs[i] = nil
			}
		}
		for i, earlier := range yielded {
			assert.True(t, collected(earlier), "future %d is held after it was yielded", i)
		}
		yielded = append(yielded, weak.Make(f))
	}
	require.Len(t, yielded, 3)
}

func completedCounts(t *testing.T, e executor) {
	ctx, ex, d := within(t), e.open(t, 2), newDoor(t)
	done := futures.Submit(ctx, ex, power, pair{1, 1})
	require.NoError(t, done.Err(ctx))
	fs := append(submitAll(ctx, ex, pass, d.errands(3)...), done, done)
	var last error
	for _, err := range futures.AsCompleted(impatient(), fs) {
		last = err
	}
	require.ErrorContains(t, last, "3 (of 4) futures unfinished")
}
