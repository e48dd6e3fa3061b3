//go:build unix

package conformance_test

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/threadpool"
)

// initPorts are test_init.py.
var initPorts = []port{
	{"test_init", "InitializerMixin::test_initializer", "T7", everywhere, initializer},
	{"test_init", "FailingInitializerMixin::test_initializer", "M5 T8 P45", everywhere, failingInitializer},
	{"test_init", "FailingInitializerResourcesTest::test_spawn", "P46", one, failingInitializerResources},
}

func initializer(t *testing.T, e executor) {
	ctx, d := within(t), newDoor(t)
	before := int(greetings.Load()) // by other tests in this process
	ex := e.openWith(t, settings{workers: 2, initializer: futures.Bind(greet, greetingCard{Word: t.Name(), Fate: passOn})})
	fs := submitAll(ctx, ex, greeting, d.errands(2)...)
	d.meetAll(2) // both workers
	d.open()
	fs = append(fs, submitAll(ctx, ex, greeting, d.errands(2)...)...)
	for _, f := range fs {
		w, err := f.Result(ctx)
		require.NoError(t, err)
		assert.Equal(t, t.Name(), w.Word)
		if e.kind&threads != 0 {
			assert.Equal(t, before+2, w.Count, "once for each worker")
		} else {
			assert.Equal(t, 1, w.Count, "once in each process, or interpreter")
		}
	}
}

// journal is a log that several goroutines may write.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// broken is what the errors of a broken executor of this kind match.
func (e executor) broken() error {
	switch {
	case e.inProcesses():
		return procpool.ErrBrokenProcessPool
	case e.kind&guests != 0:
		return interpreters.ErrBrokenInterpreterPool
	default:
		return threadpool.ErrBrokenThreadPool
	}
}

func failingInitializer(t *testing.T, e executor) {
	ctx := within(t)
	var log journal
	ex := e.openWith(t, settings{workers: 1, initializer: futures.Bind(greet, greetingCard{Fate: fail}),
		log: slog.New(slog.NewTextHandler(&log, nil))})
	fs := submitAll(ctx, ex, power, pair{2, 2}, pair{3, 2}) // either is accepted and fails, or is refused
	for _, f := range fs {
		err := f.Err(ctx)
		require.ErrorIs(t, err, e.broken())
		require.ErrorIs(t, err, futures.ErrBrokenExecutor)
		assert.ErrorIs(t, err, errBoom, "unlike in Python, everybody hears why")
	}
	late := futures.Submit(ctx, ex, power, pair{2, 2})
	require.Equal(t, futures.Finished, late.State(), "refused at once")
	require.ErrorIs(t, late.Err(ctx), e.broken())
	require.NoError(t, ex.Close())
	assert.Contains(t, log.String(), "level=ERROR")
	assert.Contains(t, log.String(), "initializer")
}

// failingInitializerResources: processes, descriptors and the rest are the leak check's.
func failingInitializerResources(t *testing.T, e executor) {
	for _, f := range []fate{fail, panics, goexit, exits, killed} {
		p := e.pool(t, 2, func(c *procpool.Config) { c.Initializer = futures.Bind(greet, greetingCard{Fate: f}) })
		for _, call := range submitAll(within(t), p, power, pair{2, 2}, pair{3, 2}) {
			err := call.Err(within(t))
			require.ErrorIs(t, err, procpool.ErrBrokenProcessPool, f)
			var failure *procpool.InitializerError
			require.ErrorAs(t, err, &failure, f)
			assert.NotZero(t, failure.PID)
		}
		require.NoError(t, p.Close())
		assert.Empty(t, p.Stats().PIDs)
	}
}
