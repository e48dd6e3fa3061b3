package interpreters_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/conformance/leak"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// little is for tests with many interpreters.
var little = interpreters.Config{MemoryLimit: 32 << 20, Grace: 2 * time.Millisecond}

// fewer is n, or less where interpreters are slow to create.
func fewer(n int) int {
	if underRace {
		return n / 5
	}
	return n
}

// StressTests.test_create_many_sequential, test_create_many_threaded (N26): half as many, for each has 4 MiB of its own from the start.
func TestAHundredInterpretersLiveAtOnce(t *testing.T) {
	leak.Check(t)
	before := interpreters.ListAll()
	all := make([]*interpreters.Interpreter, fewer(100))
	add := func(i int) {
		var err error
		all[i], err = interpreters.Create(context.Background(), image, little)
		assert.NoError(t, err)
	}
	half := len(all) / 2
	for i := range half {
		add(i)
	}
	var creators sync.WaitGroup
	for i := half; i < len(all); i++ {
		creators.Go(func() { add(i) })
	}
	creators.Wait()
	require.False(t, t.Failed())
	ids := map[int64]bool{}
	for _, ip := range all {
		id, err := interpreters.Call(within(t), ip, tasks.Self, struct{}{})
		require.NoError(t, err)
		assert.Equal(t, ip.ID(), id)
		ids[id] = true
	}
	assert.Len(t, ids, len(all))
	assert.True(t, slices.IsSortedFunc(interpreters.ListAll(), func(a, b *interpreters.Interpreter) int { return int(a.ID() - b.ID()) }))
	for _, ip := range all {
		assert.NoError(t, ip.Close())
	}
	assert.Equal(t, before, interpreters.ListAll())
}

var errHammer = errors.New("killed by the hammer")

// Whatever is done to an interpreter by however many at once, each gets one of the answers there are.
func TestHammer(t *testing.T) {
	leak.Check(t)
	const hammers, anvils = 8, 4
	before := interpreters.ListAll()
	q, handle := queue(t, 2)
	var mu sync.Mutex
	var shared [anvils]*interpreters.Interpreter // replaced by whoever finds one gone
	pick := func(i int) *interpreters.Interpreter {
		mu.Lock()
		defer mu.Unlock()
		ip := shared[i]
		if ip != nil {
			if _, err := interpreters.Lookup(ip.ID()); err == nil {
				return ip
			}
			_ = ip.Close() // nil for one that has died, an error for one that was closed
		}
		ip, err := interpreters.Create(context.Background(), image, little)
		assert.NoError(t, err)
		shared[i] = ip
		return ip
	}
	allowed := func(what string, err error, also ...error) {
		var died *interpreters.Died
		switch {
		case err == nil, errors.Is(err, interpreters.ErrRunning), errors.Is(err, interpreters.ErrNotFound):
		case errors.As(err, &died):
			interrupted := died.Reason == interpreters.Interrupted && (errors.Is(err, errHammer) || errors.Is(err, context.DeadlineExceeded))
			assert.True(t, interrupted || died.Reason == interpreters.Exit && died.ExitCode == 7, "%s: %v", what, err)
		default:
			assert.True(t, slices.ContainsFunc(also, func(a error) bool { return errors.Is(err, a) }), "%s: %v", what, err)
		}
	}
	var all sync.WaitGroup
	for h := range hammers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(h)))
			for range fewer(80) {
				ip := pick(random.IntN(anvils))
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(3000))*time.Microsecond)
				var err error
				switch random.IntN(13) {
				case 0:
					allowed("close", ip.Close())
				case 1:
					ip.Kill(errHammer)
				case 2:
					allowed("prepare", ip.PrepareMain(ctx, map[string]any{"x": 1, "q": q}), context.DeadlineExceeded)
				case 3:
					_, err = interpreters.Call(ctx, ip, tasks.SpinPolitely, struct{}{})
					allowed("polite loop", err, context.DeadlineExceeded)
				case 4:
					_, err = interpreters.Call(ctx, ip, tasks.Spin, struct{}{})
					allowed("endless loop", err, context.DeadlineExceeded)
				case 5:
					_, err = interpreters.Call(ctx, ip, tasks.Put, tasks.Putting{Q: handle, Values: []any{1, 2, 3}})
					allowed("put", err, context.DeadlineExceeded, interpreters.ErrQueueFull)
				case 6:
					_, err = interpreters.Call(ctx, ip, tasks.Get, tasks.Getting{Q: handle, N: 2})
					allowed("get", err, context.DeadlineExceeded, interpreters.ErrQueueEmpty, interpreters.ErrItemInterpreterDestroyed)
				case 7:
					_, err = interpreters.Call(ctx, ip, tasks.Listen, struct{}{})
					allowed("listen", err, context.DeadlineExceeded)
				case 8:
					_, err = interpreters.Call(ctx, ip, tasks.Exit, 7)
					allowed("exit", err, context.DeadlineExceeded)
				case 9:
					_, err = interpreters.Call(ctx, ip, tasks.Goexit, struct{}{})
					var failed *interpreters.ExecutionFailed
					if !errors.As(err, &failed) || failed.Excinfo.Type != "runtime.Goexit" {
						allowed("Goexit", err, context.DeadlineExceeded)
					}
				default:
					var sum int
					sum, err = interpreters.Call(ctx, ip, tasks.Add, tasks.Pair{A: 40, B: 2})
					allowed("call", err, context.DeadlineExceeded)
					if err == nil {
						assert.Equal(t, 42, sum)
					}
				}
				cancel()
			}
		})
	}
	all.Wait()
	for i := range anvils {
		ip := pick(i)
		sum, err := interpreters.Call(within(t), ip, tasks.Add, tasks.Pair{A: 1, B: 2})
		require.NoError(t, err, "whoever is left is well")
		assert.Equal(t, 3, sum)
		require.NoError(t, ip.Close())
	}
	assert.Equal(t, before, interpreters.ListAll())
}

// Calls kill their interpreters, time out and are cancelled, and then the pool is shut down: each is settled.
func TestAPoolUnderTheHammer(t *testing.T) {
	leak.Check(t)
	before := interpreters.ListAll()
	const hammers, calls = 4, 40
	pool, err := interpreters.NewPool(interpreters.PoolConfig{
		Image: image, MaxWorkers: 3, MaxTasksPerInterpreter: 7, Interpreter: little, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	type settling interface {
		Err(context.Context) error
		Done() <-chan struct{}
	}
	ctx := within(t)
	var mu sync.Mutex
	var submitted []settling
	var all sync.WaitGroup
	for h := range hammers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(h)))
			for i := range calls {
				short := futures.Timeout(time.Duration(1+random.IntN(3)) * time.Millisecond)
				var settled settling
				switch random.IntN(5) {
				case 0:
					settled = futures.Submit(ctx, pool, tasks.Exit, 1, futures.Retries(random.IntN(2)))
				case 1:
					settled = futures.Submit(ctx, pool, tasks.Spin, struct{}{}, short)
				case 2:
					settled = futures.Submit(ctx, pool, tasks.SpinPolitely, struct{}{}, short)
				case 3:
					f := futures.Submit(ctx, pool, tasks.Listen, struct{}{}, short)
					f.Cancel()
					settled = f
				default:
					settled = futures.Submit(ctx, pool, tasks.Add, tasks.Pair{A: 1, B: 2})
				}
				if i%8 == 0 {
					assert.NotErrorIs(t, settled.Err(ctx), futures.ErrBrokenExecutor)
				}
				mu.Lock()
				submitted = append(submitted, settled)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.NoError(t, pool.Shutdown(ctx))
	for _, f := range submitted {
		select {
		case <-f.Done():
		default:
			assert.Fail(t, "a call is not settled after Shutdown")
		}
	}
	assert.Equal(t, before, interpreters.ListAll())
}

// Interpreters that come and go leave no memory behind.
func TestThreeHundredInterpretersLeaveNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	leak.Check(t)
	comeAndGo := func(n int) {
		for range n {
			ip, err := interpreters.Create(context.Background(), image, little)
			require.NoError(t, err)
			_, err = interpreters.Call(context.Background(), ip, tasks.Count, struct{}{})
			require.NoError(t, err)
			require.NoError(t, ip.Close())
		}
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // pools are emptied by the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	comeAndGo(10)
	before := heap()
	comeAndGo(fewer(300))
	assert.Less(t, heap()-before, int64(2<<20), "bytes more than before: each has had 4 MiB")
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	assert.Empty(t, left)
}

// The cache has one file for a module, and nothing half written.
func TestTheCacheHoldsWhatWasCompiled(t *testing.T) {
	dir := t.TempDir()
	wasm := []byte("\x00asm\x01\x00\x00\x00" + "\x05\x03\x01\x00\x01" + "\x07\x0a\x01\x06memory\x02\x00") // (module (memory (export "memory") 1))
	for range 2 {
		image, err := interpreters.Load(within(t), wasm, interpreters.ImageConfig{CacheDir: dir})
		require.NoError(t, err)
		require.NoError(t, image.Close())
	}
	var files []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, filepath.Base(path))
		}
		return err
	}))
	t.Log(strings.Join(files, " "))
	assert.NotEmpty(t, files)
	assert.False(t, slices.ContainsFunc(files, func(name string) bool { return strings.Contains(name, "tmp") }))
}
