//go:build linux

package procpool_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// few leaves this program n more descriptors, until give is called.
func few(t *testing.T, n int) (give func()) {
	t.Helper()
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 256, Max: before.Max}))
	var taken []int
	for {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == unix.EMFILE {
			break
		}
		require.NoError(t, err)
		taken = append(taken, fd)
	}
	free := func(n int) {
		for ; n > 0; n-- {
			require.NoError(t, unix.Close(taken[len(taken)-1]))
			taken = taken[:len(taken)-1]
		}
	}
	free(n)
	return func() {
		free(len(taken))
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
	}
}

// A host without descriptors cannot start workers, whichever descriptor it is that is missing, and says so; of the attempt nothing is left. With the first number that is
// enough a worker starts.
func TestAHostWithoutDescriptorsSaysSo(t *testing.T) {
	for name, config := range map[string]procpool.Config{
		"free": {},
		"held": {Sandbox: procpool.PureCPU, Limits: procpool.Limits{Memory: 1 << 30, OpenFiles: 64}},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			least := 0
			for !startsWith(t, least, config) {
				least++
				require.Less(t, least, 64, "these are not enough to start a worker")
			}
			t.Logf("a start takes %d descriptors", least)
			assert.Greater(t, least, 12, "none of the descriptors that a worker takes was missing")
		})
	}
}

// startsWith reports whether a worker starts with n descriptors, and sees to it that one that does not says why.
func startsWith(t *testing.T, n int, config procpool.Config) bool {
	t.Helper()
	config.Worker, config.MaxWorkers = procpool.Self(), 1
	pool, err := procpool.New(config)
	require.NoError(t, err)
	defer mustClose(t, pool)
	give := few(t, n)
	defer give()
	if _, err = futures.Submit(bounded(t), pool, echo, "").Result(bounded(t)); err == nil {
		return true
	}
	var failed *procpool.StartError
	require.ErrorAs(t, err, &failed)
	require.ErrorIs(t, err, unix.EMFILE, "%d descriptors", n)
	assert.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
	assert.Contains(t, err.Error(), "open files")
	assert.Empty(t, pool.Stats().PIDs)
	return false
}

// Workers that are there go on without further descriptors. One that is lost then has a successor as soon as there are some.
func TestAPoolOutlivesItsHostsLackOfDescriptors(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, OnCrash: procpool.ReplaceWorker, MaxCrashes: 1000})
	_, err := futures.Submit(bounded(t), pool, echo, "").Result(bounded(t))
	require.NoError(t, err)
	give := few(t, 0)
	defer func() { give() }()
	for range 100 {
		_, err := futures.Submit(bounded(t), pool, echo, "").Result(bounded(t))
		require.NoError(t, err)
	}
	_, err = futures.Submit(bounded(t), pool, perish, fate{"exit", 3}).Result(bounded(t))
	var lost *procpool.WorkerCrashError
	require.ErrorAs(t, err, &lost)
	waits := futures.Submit(bounded(t), pool, echo, "at last")
	for ctx := bounded(t); pool.Stats().Crashed < 3; { // starts that have failed
		require.NoError(t, ctx.Err())
	}
	select {
	case <-waits.Done():
		t.Fatal("the call was settled without a worker")
	default:
	}
	give()
	give = func() {}
	said, err := waits.Result(bounded(t))
	require.NoError(t, err)
	assert.Equal(t, "at last", said)
}
