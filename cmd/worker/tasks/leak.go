package tasks

import (
	"context"
	"fmt"
	"runtime"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// leaked keeps what Leak allocates. A worker runs one call at a time.
var leaked [][]byte

// Leak keeps so many MiB more in memory until the worker ends, and gives the bytes that the worker has from the system.
var Leak = futures.NewFunc("leak", func(_ context.Context, mib int) (uint64, error) {
	if mib < 0 || mib > 1<<20 {
		return 0, fmt.Errorf("%d MiB is not between 0 and 1048576", mib)
	}
	for range mib {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1 // so that the page is there
		}
		leaked = append(leaked, block)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys, nil
})
