package procpool_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// Who means for ever, or as many as there can be, writes the largest number there is.
func TestNumbersBeyondAllMeasureMeanThatThereIsNoBound(t *testing.T) {
	for name, config := range map[string]procpool.Config{
		"MaxWorkers":       {MaxWorkers: math.MaxInt},
		"MaxTasksPerChild": {MaxTasksPerChild: math.MaxInt},
		"IdleTimeout":      {IdleTimeout: math.MaxInt64},
		"StartTimeout":     {StartTimeout: math.MaxInt64},
		"KillGrace":        {KillGrace: math.MaxInt64},
		"MaxCrashes":       {MaxCrashes: math.MaxInt},
		"MaxQueue":         {MaxQueue: math.MaxInt},
		"MaxRSS":           {MaxRSS: math.MaxInt64},
		"CPUTime":          {Limits: procpool.Limits{CPUTime: math.MaxInt64}},
		"FileSize":         {Limits: procpool.Limits{FileSize: math.MaxInt64}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			config.Worker = procpool.Self()
			pool, err := procpool.New(config)
			require.NoError(t, err)
			defer pool.Close()
			for range 20 {
				prime, err := futures.Submit(ctx, pool, isPrime, 7, futures.Timeout(math.MaxInt64), futures.Retries(math.MaxInt)).Result(ctx)
				if !assert.NoError(t, err) {
					pool.KillWorkers()
					return
				}
				assert.True(t, prime)
			}
		})
	}
}

// An arena is mapped as a whole: where addresses have 32 bits there is no room for two gigabytes.
func TestAnArenaIsNoLargerThanThereAreAddressesFor(t *testing.T) {
	_, err := procpool.New(procpool.Config{Worker: procpool.Self(), ArenaSize: math.MaxInt})
	assert.ErrorContains(t, err, "Config.ArenaSize")
}
