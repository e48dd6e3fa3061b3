//go:build linux

package procpool_test

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// misbehaving is a pool whose workers do what is said before they shake hands.
func misbehaving(how string) procpool.Config {
	return procpool.Config{MaxWorkers: 1, Env: append(os.Environ(), startVar+"="+how)}
}

// startError makes the pool start a worker, which must fail.
func startError(t *testing.T, pool *procpool.ProcessPoolExecutor) *procpool.StartError {
	t.Helper()
	_, err := futures.Submit(context.Background(), pool, echo, "").Result(bounded(t))
	require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
	require.ErrorIs(t, err, futures.ErrBrokenExecutor)
	var failed *procpool.StartError
	require.ErrorAs(t, err, &failed)
	assert.Contains(t, err.Error(), failed.Error())
	_, err = futures.Submit(context.Background(), pool, echo, "").Result(bounded(t))
	require.ErrorIs(t, err, procpool.ErrBrokenProcessPool, "a pool that cannot start workers accepts calls")
	return failed
}

func TestAWorkerThatDoesNotShakeHandsIsAStartError(t *testing.T) {
	for _, c := range []struct {
		how    string
		says   []string
		stderr string
	}{
		{"other cookie", []string{"(exit status 2", "is it a worker", "worker.Main"}, "is a worker"},
		{"other core protocol", []string{"does not shake hands", "same release", "core API version", "9"}, ""},
		{"other version", []string{"does not shake hands", "same release", "version: 99"}, ""},
		{"offered other version", []string{"(exit status 3"}, `the host speaks version "98,99" of the protocol and this worker version 1`},
		{"other network", []string{"does not speak the protocol", `does not name the pipes of a worker, but "carrier-pigeon|nowhere"`}, ""},
		{"die", []string{"(exit status 7"}, "cannot find my licence"},
		{"panic", []string{"(exit status 2", "panic: cannot initialise"}, "goroutine 1"},
		{"handshake then exit", []string{"(exit status 5", "changed my mind"}, "changed my mind"},
		{"handshake then garbage", []string{"does not speak the protocol", "hello, I"}, ""},
		{"another message than hello", []string{"does not speak the protocol", "first message is another"}, ""},
		{"hello without end", []string{"does not speak the protocol", "over the limit of 1048576"}, ""},
		{"hello of another version", []string{"speaks version 42", "from the future", "build both from the same release"}, ""},
	} {
		t.Run(c.how, func(t *testing.T) {
			clean(t)
			pool := newPool(t, misbehaving(c.how))
			began := time.Now()
			failed := startError(t, pool)
			t.Log(failed)
			for _, s := range c.says {
				assert.Contains(t, failed.Error(), s)
			}
			assert.Contains(t, failed.Stderr, c.stderr)
			assert.Equal(t, "procpool.Self()", failed.Command)
			assert.Less(t, time.Since(began), patience, "it waited for StartTimeout although all was known")
		})
	}
}

func TestAWorkerThatHangsIsGivenUpAfterStartTimeout(t *testing.T) {
	for _, c := range []struct{ how, stderr string }{
		{"hang", "waiting for a licence server"},
		{"handshake then silence", ""},
	} {
		t.Run(c.how, func(t *testing.T) {
			clean(t)
			config := misbehaving(c.how)
			config.StartTimeout = 700 * time.Millisecond
			pool := newPool(t, config)
			began := time.Now()
			failed := startError(t, pool)
			t.Log(failed)
			assert.GreaterOrEqual(t, time.Since(began), config.StartTimeout)
			assert.Contains(t, failed.Error(), "Config.StartTimeout (700ms)")
			assert.Contains(t, failed.Stderr, c.stderr)
		})
	}
}

func TestAProgramThatIsNoWorkerIsAStartError(t *testing.T) {
	for _, c := range []struct {
		name    string
		command procpool.WorkerCommand
		says    []string
		stderr  string
	}{
		{"exits at once", procpool.Command("true"), []string{"start worker true", "(exit status 0", "is it a worker"}, ""},
		{"fails", procpool.Command("ls", "/does/not/exist"), []string{"start worker ls /does/not/exist", "(exit status 2", "is it a worker"}, "No such file"},
		{"goes on and on", procpool.Command("sleep", "1000"), []string{"Config.StartTimeout"}, ""},
		{"ends by a signal", procpool.Command("sh", "-c", "kill -9 $$"), []string{"(signal: killed)", "is it a worker"}, ""},
		{"closes its output and goes on", procpool.Command("sh", "-c", "exec >&- 2>&-; exec sleep 1000"), []string{"does not shake hands"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, Worker: c.command, StartTimeout: time.Second})
			failed := startError(t, pool)
			t.Log(failed)
			for _, s := range c.says {
				assert.Contains(t, failed.Error(), s)
			}
			assert.Contains(t, failed.Stderr, c.stderr)
		})
	}
}

// program copies this program to a place where it can be spoilt.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker")
	self, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer func() { assert.NoError(t, self.Close()) }()
	copied, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o700)
	require.NoError(t, err)
	_, err = io.Copy(copied, self)
	require.NoError(t, err)
	require.NoError(t, copied.Close())
	return path
}

func TestNewRefusesAProgramThatCannotBeExecuted(t *testing.T) {
	clean(t)
	_, err := procpool.New(procpool.Config{Worker: procpool.Command("/does/not/exist")})
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "Config.Worker")
	assert.ErrorContains(t, err, "/does/not/exist")

	file := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	_, err = procpool.New(procpool.Config{Worker: procpool.Command(file)})
	require.ErrorIs(t, err, os.ErrPermission)
	assert.ErrorContains(t, err, file)
}

func TestAProgramThatVanishesIsAStartError(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(path string) error
		is    error
		says  string
	}{
		{"missing", os.Remove, os.ErrNotExist, "no such file"},
		{"not executable", func(path string) error { return os.Chmod(path, 0o600) }, os.ErrPermission, "permission denied"},
		{"not a program", func(path string) error { return os.WriteFile(path, []byte("\x7fELF, in name only"), 0o700) }, nil, "exec format error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			path := program(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, Worker: procpool.Command(path, "-x")})
			require.NoError(t, c.spoil(path))
			failed := startError(t, pool)
			t.Log(failed)
			assert.Equal(t, path+" -x", failed.Command)
			assert.Contains(t, failed.Error(), "cannot be executed: check the path, its permissions and Config.Dir")
			assert.Contains(t, failed.Error(), c.says)
			if c.is != nil {
				assert.ErrorIs(t, failed, c.is)
			}
		})
	}
}

func TestTheChecksumDecidesWhichProgramIsStarted(t *testing.T) {
	clean(t)
	path := program(t)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := sha256.Sum256(text)

	pool := newPool(t, procpool.Config{MaxWorkers: 1, Worker: procpool.Command(path), Checksum: sum[:], MaxTasksPerChild: 1})
	_, err = futures.Submit(context.Background(), pool, echo, "right").Result(bounded(t))
	require.NoError(t, err)

	sum[0]++ // it is the caller's, and the pool above goes on
	for range 3 {
		_, err = futures.Submit(context.Background(), pool, echo, "right").Result(bounded(t))
		require.NoError(t, err)
	}
	wrong := newPool(t, procpool.Config{MaxWorkers: 1, Worker: procpool.Command(path), Checksum: sum[:]})
	failed := startError(t, wrong)
	t.Log(failed)
	assert.Contains(t, failed.Error(), "checksum")
	assert.Contains(t, failed.Error(), "Config.Checksum", "the text does not say what to check")
	assert.Zero(t, wrong.Stats().PIDs)
}

// What package initialisers print before the handshake belongs to the user, however much it is.
func TestAWorkerMayPrintBeforeItShakesHands(t *testing.T) {
	for how, size := range map[string]int{"chatter": 220_000, "flood": 1 << 20} {
		t.Run(how, func(t *testing.T) {
			clean(t)
			config := misbehaving(how)
			var out sink
			config.Stderr = &out
			pool := newPool(t, config)
			got, err := futures.Submit(context.Background(), pool, echo, "x").Result(bounded(t))
			require.NoError(t, err)
			assert.Equal(t, "x", got)
			mustClose(t, pool)
			assert.GreaterOrEqual(t, len(out.String()), size)
			assert.NotContains(t, out.String(), "|netrpc")
			if how == "chatter" {
				assert.Contains(t, out.String(), "loading configuration\n1|2 is no handshake\n|||||\nno newline ")
				assert.Contains(t, out.String(), "a warning\n")
			}
		})
	}
}
