package procpool_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/procpool"
)

func TestNewRefusesLimitsThatNoWorkerCanLiveWith(t *testing.T) {
	for _, c := range []struct {
		config procpool.Config
		says   []string
	}{
		{procpool.Config{Limits: procpool.Limits{Memory: 1 << 20, OpenFiles: 3}}, []string{"Config.Limits.Memory: 1048576", "Config.Limits.OpenFiles: 3"}},
		{procpool.Config{Limits: procpool.Limits{Processes: -1, CPUTime: -time.Second}}, []string{"Config.Limits.Processes: -1", "Config.Limits.CPUTime"}},
		{procpool.Config{Limits: procpool.Limits{FileSize: -1, Core: -2}}, []string{"Config.Limits.FileSize: -1", "Config.Limits.Core: -2"}},
		{procpool.Config{Limits: procpool.Limits{Processes: 4194305}}, []string{"Config.Limits.Processes: 4194305", "at most 4194304"}},
		{procpool.Config{MaxRSS: -1}, []string{"Config.MaxRSS"}},
		{procpool.Config{MaxResult: -1}, []string{"Config.MaxResult: -1 is negative"}},
		{procpool.Config{MaxResult: 1<<30 + 1}, []string{"Config.MaxResult: 1073741825 bytes", "at most 1073741824"}},
		{procpool.Config{Sandbox: procpool.Sandbox{Read: []string{""}}}, []string{"Config.Sandbox", "empty path"}},
	} {
		c.config.Worker = procpool.Self()
		_, err := procpool.New(c.config)
		for _, s := range c.says {
			assert.ErrorContains(t, err, s)
		}
	}
}

func TestNewRefusesASandboxOfPathsThatDoNotExist(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("THERE IS NO SANDBOX HERE")
	}
	_, err := procpool.New(procpool.Config{Worker: procpool.Self(), Sandbox: procpool.Sandbox{Write: []string{"/does/not/exist"}}})
	assert.ErrorContains(t, err, "Config.Sandbox")
	assert.ErrorContains(t, err, "/does/not/exist")
}

// Nobody asked for anything, so there is nothing to say; and what is not active says so where everybody reads it.
func TestEnforcedSaysOnlyWhatWasAskedFor(t *testing.T) {
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), Strict: true})
	require.NoError(t, err)
	defer pool.Close()
	assert.Empty(t, pool.Enforced())
	assert.Empty(t, pool.Stats().NotEnforced)
	assert.Equal(t, "Limits.Memory: cgroup v2", procpool.Restriction{Name: "Limits.Memory", Active: true, How: "cgroup v2"}.String())
	assert.Equal(t, "Limits.Memory: NOT ENFORCED: not Linux", procpool.Restriction{Name: "Limits.Memory", How: "not Linux"}.String())
}

func TestAVerdictHasAName(t *testing.T) {
	assert.Equal(t, "unknown", procpool.OOM(0).String())
	assert.Equal(t, "out of memory", procpool.OOMKilled.String())
	assert.Equal(t, "not out of memory", procpool.NotOOM.String())
	assert.Equal(t, "OOM(9)", procpool.OOM(9).String())
}
