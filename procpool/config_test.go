package procpool_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
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

// The system would refuse them at the first start, and say nothing that helps.
func TestNewRefusesWhatNoProcessCanHave(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for says, config := range map[string]procpool.Config{
		`Config.Env: entry 1 ("B") has a NUL in it`:     {Env: []string{"A=1", "B=secret\x002"}},
		`Config.Env: entry 0 ("") has a NUL in it`:      {Env: []string{"secret\x00"}},
		"Config.Worker: argument 2 has a NUL in it":     {Worker: procpool.Command(self, "a", "b\x00c")},
		"Config.Dir: stat /tmp\x00/x: invalid argument": {Dir: "/tmp\x00/x"},
	} {
		if config.Worker.String() == "" {
			config.Worker = procpool.Self()
		}
		_, err := procpool.New(config)
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "secret")
	}
}

// The environment of a host may have entries of any form, and append(os.Environ(), ...) is what everybody writes.
func TestEntriesOfTheEnvironmentWithoutANameArePassedOn(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	odd := []string{"junk", "=x=y"}
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, Env: append(os.Environ(), odd...)})
	require.NoError(t, err)
	defer pool.Close()
	env, err := futures.Submit(ctx, pool, environment, 0).Result(ctx)
	require.NoError(t, err)
	assert.Subset(t, env, odd)
}

// A pool starts workers for as long as it lives, wherever its program has gone meanwhile.
func TestARelativeDirIsThatOfWhenThePoolWasMade(t *testing.T) {
	here, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	elsewhere := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(here, "work"), 0o700))
	t.Chdir(here)
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 1, Dir: "work"})
	require.NoError(t, err)
	defer pool.Close()
	t.Chdir(elsewhere)
	dir, err := futures.Submit(context.Background(), pool, whereabouts, 0).Result(context.Background())
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(here, "work"), dir)
}

var whereabouts = futures.NewFunc("procpool.Whereabouts", func(context.Context, int) (string, error) { return os.Getwd() })
var environment = futures.NewFunc("procpool.Environment", func(context.Context, int) ([]string, error) { return os.Environ(), nil })
