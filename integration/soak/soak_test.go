//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A short one, always of the same seed. make soak is longer.
func TestSoak(t *testing.T) {
	worker := filepath.Join(t.TempDir(), "worker")
	out, err := exec.Command("go", "build", "-o", worker, "./worker").CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Setenv("TMPDIR", t.TempDir())
	a, err := soak(worker, 7, 5*time.Second, func(line string) { t.Log(line) })
	require.NoError(t, err)
	t.Log(a)
	assert.True(t, a.clean())
	assert.Positive(t, a.kills)
}

// A seed is a plan, and another one is another.
func TestTheSameSeedGivesTheSamePlan(t *testing.T) {
	plan := func(seed uint64) (text string) {
		for n := range 50 {
			text += fmt.Sprintf("%+v\n", planned(seed, n))
		}
		return text
	}
	assert.Equal(t, plan(1), plan(1))
	assert.NotEqual(t, plan(1), plan(2))
}

// An account that is not clean says so.
func TestATroubleIsNotClean(t *testing.T) {
	assert.True(t, (&account{calls: 1}).clean())
	assert.False(t, (&account{}).clean())
	assert.False(t, (&account{calls: 1, twice: 1}).clean())
	assert.False(t, (&account{calls: 1, troubles: []string{"a call fell to nobody's kill"}}).clean())
	assert.False(t, (&account{calls: 1, rss: []int64{0, 0, 0, 0, 0, 0, 0, 0, flat, flat, flat, flat}}).clean())
}
