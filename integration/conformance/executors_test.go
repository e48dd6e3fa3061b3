//go:build unix

package conformance_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/conformance/leak"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/threadpool"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func TestMain(m *testing.M) {
	worker.MainIfWorker(tasks...)
	if name := os.Getenv(programKey); name != "" {
		os.Exit(programs[name]())
	}
	// A process under the race detector waits a second before it exits, for reports of others. Workers end by the hundred here.
	if err := os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	if err := loadGuest(); err != nil {
		panic(err)
	}
	temp, err := os.MkdirTemp("", "conformance") // of its own: what other programs leave there is not looked for
	if err == nil {
		err = os.Setenv("TMPDIR", temp)
	}
	if err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(temp) // it is temporary
		os.Exit(code)
	}))
}

// guest is this program, built for interpreters.
var guest *interpreters.Image

func loadGuest() error {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "test", "-c", "-o", out, ".")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the guest: %w\n%s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	guest, err = interpreters.Load(context.Background(), wasm, interpreters.ImageConfig{CacheDir: filepath.Join(cache, "concurrent-tests")})
	return err
}

// patience bounds every wait of a test. It is for tests that fail: those that pass do not come near it.
const patience = 30 * time.Second

// within is the ctx for a test's waits and calls. When the test is over it is done, and with it every call that still runs.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// impatient is a ctx that is done: Python's wait=False, and timeout=0.
func impatient() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// An executor is one line of what the tests are run over.
type executor struct {
	name string
	kind kind

	// New makes an executor, which the caller closes.
	new func(settings) (futures.Executor, error)

	// shared are those that are open for tests that share, by the number of their workers.
	shared map[int]futures.Executor

	// These say what the tests of process pools have to expect.
	onCrash  procpool.CrashPolicy
	maxTasks int
}

// settings are what all executors have in common.
type settings struct {
	workers     int
	initializer futures.Bound
	log         *slog.Logger
}

// kind is where the calls of an executor run.
type kind uint8

const (
	threads   kind = 1 << iota // in goroutines of this process
	processes                  // each worker is a process
	guests                     // each worker is an interpreter in this process
	one                        // the one process pool for tests that choose its policies themselves

	// sharing is for ports alone: the test leaves the executor as it finds it, so several have the same one in turn. Starting
	// a worker takes longer than most tests.
	sharing

	everywhere = threads | processes | guests
)

func (e executor) inProcesses() bool { return e.kind&processes != 0 }

// recycled is MaxTasksPerChild in the executor that has it: small enough that most tests see workers come and go.
const recycled = 3

var executors = []executor{
	{name: "threadpool", kind: threads, new: func(s settings) (futures.Executor, error) {
		return threadpool.New(threadpool.Config{MaxWorkers: s.workers, Initializer: s.initializer, Logger: s.log})
	}},
	{name: "interpreters", kind: guests, new: func(s settings) (futures.Executor, error) {
		return interpreters.NewPool(interpreters.PoolConfig{
			Image: guest, MaxWorkers: s.workers, Initializer: s.initializer, Logger: s.log,
			Interpreter: interpreters.Config{HostFuncs: []futures.Callable{standFor}},
		})
	}},
	processExecutor("procpool.BreakPool", processes|one, procpool.BreakPool, 0),
	processExecutor("procpool.ReplaceWorker", processes, procpool.ReplaceWorker, 0),
	processExecutor("procpool.MaxTasksPerChild", processes, procpool.BreakPool, recycled),
}

func processExecutor(name string, k kind, onCrash procpool.CrashPolicy, maxTasks int) executor {
	e := executor{name: name, kind: k, onCrash: onCrash, maxTasks: maxTasks}
	e.new = func(s settings) (futures.Executor, error) { return procpool.New(e.config(s)) }
	return e
}

func (e executor) config(s settings) procpool.Config {
	return procpool.Config{
		Worker:           procpool.Self(),
		MaxWorkers:       s.workers,
		MaxTasksPerChild: e.maxTasks,
		OnCrash:          e.onCrash,
		Initializer:      s.initializer,
		Logger:           s.log,
		StartTimeout:     patience,
		Stderr:           io.Discard,
	}
}

// open gives a test an executor: one of its own, which is closed with it, or if it shares one that others have had before.
func (e executor) open(t *testing.T, workers int) futures.Executor {
	t.Helper()
	if e.shared == nil {
		return e.openWith(t, settings{workers: workers})
	}
	if e.shared[workers] == nil {
		ex, err := e.new(settings{workers: workers})
		require.NoError(t, err)
		e.shared[workers] = ex
	}
	return e.shared[workers]
}

func (e executor) openWith(t *testing.T, s settings) futures.Executor {
	t.Helper()
	ex, err := e.new(s)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, ex.Close()) })
	return ex
}

// pool is open for the tests of process pools alone. change may be nil.
func (e executor) pool(t *testing.T, workers int, change func(*procpool.Config)) *procpool.ProcessPoolExecutor {
	t.Helper()
	c := e.config(settings{workers: workers})
	if change != nil {
		change(&c)
	}
	p, err := procpool.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// recycles reports whether the executor replaces its workers after a few calls.
func (e executor) recycles() bool { return e.maxTasks > 0 }

// A port is one test of CPython, or one behaviour for which CPython has none.
type port struct {
	file string // of test_concurrent_futures, or "row" for a behaviour without a test of CPython
	name string // of CPython's test; see parity_test.go for those with more than one port
	rows string // what it holds, as numbered in docs/parity.md
	over kind
	run  func(*testing.T, executor)
}

func (p port) id() string { return p.file + "::" + p.name }

var ports = [][]port{executorPorts, threadPorts, processPorts, shutdownPorts, initPorts, waitPorts, completedPorts, deadlockPorts, rowPorts}

func TestConformance(t *testing.T) {
	for _, e := range executors {
		t.Run(e.name, func(t *testing.T) {
			e.runShared(t)
			e.run(t, func(p port) bool { return p.over&sharing == 0 }, func(t *testing.T, p port) {
				leak.Check(t)
				p.run(t, e)
			})
		})
	}
}

// runShared runs the ports that share, and looks for leaks when all are over.
func (e executor) runShared(t *testing.T) {
	e.shared = map[int]futures.Executor{}
	t.Run("sharing", func(t *testing.T) {
		leak.Check(t)
		t.Cleanup(func() {
			for _, ex := range e.shared {
				assert.NoError(t, ex.Close())
			}
		})
		e.run(t, func(p port) bool { return p.over&sharing != 0 }, func(t *testing.T, p port) { p.run(t, e) })
	})
}

// run runs those ports that are meant for e.
func (e executor) run(t *testing.T, wanted func(port) bool, run func(*testing.T, port)) {
	for _, p := range slices.Concat(ports...) {
		if p.over&e.kind != 0 && wanted(p) {
			t.Run(p.id(), func(t *testing.T) { run(t, p) })
		}
	}
}

// values is what Map gives back in a test that expects no error.
func values[T any](t *testing.T, results func(func(T, error) bool)) (all []T) {
	t.Helper()
	for v, err := range results {
		require.NoError(t, err)
		all = append(all, v)
	}
	return all
}

// submitAll submits fn once for each input.
func submitAll[In, Out any](ctx context.Context, ex futures.Executor, fn futures.Func[In, Out], inputs ...In) []*futures.Future[Out] {
	fs := make([]*futures.Future[Out], len(inputs))
	for i, in := range inputs {
		fs[i] = futures.Submit(ctx, ex, fn, in)
	}
	return fs
}

// errands are n calls of pass with the values from 0.
func (d *door) errands(n int) []errand {
	all := make([]errand, n)
	for i := range all {
		all[i] = d.at(i)
	}
	return all
}

// inState counts futures.
func inState[T any](fs []*futures.Future[T], s futures.State) (n int) {
	for _, f := range fs {
		if f.State() == s {
			n++
		}
	}
	return n
}

// requireResults waits for futures and compares their values with the numbers from 0.
func requireResults(t *testing.T, ctx context.Context, fs []*futures.Future[int]) {
	t.Helper()
	for i, f := range fs {
		v, err := f.Result(ctx)
		require.NoError(t, err)
		require.Equal(t, i, v)
	}
}
