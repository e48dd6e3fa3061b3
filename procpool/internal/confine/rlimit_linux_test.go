package confine

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Not even root has more descriptors than that: it would be told at the first start, and with no word of why.
func TestABoundOfTheSystemIsSaid(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/fs/nr_open")
	require.NoError(t, err)
	most, known := nrOpen()
	require.True(t, known)
	beyond := rlimit{"Limits.OpenFiles", unix.RLIMIT_NOFILE, unix.Rlimit{Cur: most + 1, Max: most + 1}}
	assert.ErrorContains(t, beyond.beyond(), "fs.nr_open is "+strings.TrimSpace(string(text)))
}
