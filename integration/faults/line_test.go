//go:build linux

package faults_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/pooltest"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// counter is a Writer that only counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// A line of 1 GiB passes through, holds up no call, and takes no memory; what comes after it are still the last words.
func TestAGibibyteInOneLine(t *testing.T) {
	size := int64(1 << 30)
	if raceDetector || testing.Short() {
		size >>= 4
	}
	clean(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out counter
	pool, err := procpool.New(procpool.Config{Worker: procpool.Command(workerProgram()), MaxWorkers: 1, Stderr: &out})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Shutdown(ctx)) }()
	before := heap()
	_, err = futures.Submit(ctx, pool, pooltest.Carry, pooltest.Errand{Faults: does(pooltest.Flood(2, size))}).Result(ctx)
	require.NoError(t, err)
	assert.Less(t, heap(), before+8<<20, "the line is kept")
	_, err = futures.Submit(ctx, pool, pooltest.Carry, pooltest.Errand{Faults: does(pooltest.PanicElsewhere("after the flood"))}).Result(ctx)
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	assert.Contains(t, crash.Error(), "panic: after the flood")
	assert.Greater(t, out.n.Load(), size)
}

// heap is how much memory is in use.
func heap() int {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
