//go:build linux

package sandbox

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// What it costs to start a worker, with and without what holds it, its end included.
func BenchmarkStart(b *testing.B) {
	for name, config := range map[string]procpool.Config{
		"free":    {},
		"limits":  {Limits: procpool.Limits{Memory: 256 << 20, Processes: 64, OpenFiles: 64}},
		"sandbox": {Sandbox: procpool.PureCPU},
	} {
		b.Run(name, func(b *testing.B) {
			config.Worker, config.MaxWorkers, config.MaxTasksPerChild = procpool.Self(), 1, 1
			pool, err := procpool.New(config)
			require.NoError(b, err)
			defer pool.Close()
			for n := range b.N {
				_, err := futures.Submit(b.Context(), pool, square, n).Result(b.Context())
				require.NoError(b, err)
			}
		})
	}
}
