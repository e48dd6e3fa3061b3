package interpreters_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// busy makes a call that runs until the returned function is called, which waits for its end.
func busy(t *testing.T, ip *interpreters.Interpreter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() {
		_, err := interpreters.Call(ctx, ip, tasks.Listen, struct{}{})
		over <- err
	}()
	require.Eventually(t, ip.IsRunning, patience, time.Millisecond)
	return sync.OnceFunc(func() {
		cancel()
		assert.ErrorIs(t, <-over, context.Canceled)
	})
}

func TestIDsAreNeverUsedAgain(t *testing.T) { // N1
	a := create(t, interpreters.Config{})
	b := create(t, interpreters.Config{})
	assert.Positive(t, a.ID())
	assert.Greater(t, b.ID(), a.ID())
	require.NoError(t, b.Close())
	c := create(t, interpreters.Config{})
	assert.Greater(t, c.ID(), b.ID())
	self, err := interpreters.Call(within(t), c, tasks.Self, struct{}{})
	require.NoError(t, err)
	assert.Equal(t, c.ID(), self)
}

func TestListAllIsInTheOrderOfCreation(t *testing.T) { // N2
	before := interpreters.ListAll()
	require.Same(t, interpreters.GetMain(), before[0])
	a, b, c := create(t, interpreters.Config{}), create(t, interpreters.Config{}), create(t, interpreters.Config{})
	assert.Equal(t, append(before, a, b, c), interpreters.ListAll())
	require.NoError(t, b.Close())
	assert.Equal(t, append(before, a, c), interpreters.ListAll())
}

func TestMainAndCurrent(t *testing.T) { // N3, N6, N7, N9
	main := interpreters.GetMain()
	assert.Zero(t, main.ID())
	assert.True(t, main.IsRunning())
	assert.Equal(t, "runtime init", main.Whence())
	assert.Equal(t, "Interpreter(0)", main.String())
	assert.Same(t, main, interpreters.GetCurrent(t.Context()))
	ip := create(t, interpreters.Config{})
	assert.Equal(t, "_interpreters module", ip.Whence())
	assert.False(t, ip.IsRunning())
}

func TestThereIsOneHandleForAnID(t *testing.T) { // N4, N5
	ip := create(t, interpreters.Config{})
	same, err := interpreters.Lookup(ip.ID())
	require.NoError(t, err)
	assert.Same(t, ip, same)
	main, err := interpreters.Lookup(0)
	require.NoError(t, err)
	assert.Same(t, interpreters.GetMain(), main)
	for _, id := range []int64{-1, ip.ID() + 1_000_000, math.MaxInt64, math.MinInt64} {
		_, err := interpreters.Lookup(id)
		assert.ErrorIs(t, err, interpreters.ErrNotFound)
		assert.ErrorIs(t, err, interpreters.ErrInterpreter)
	}
}

func TestIsRunningWhileACallIs(t *testing.T) { // N9
	ip := create(t, interpreters.Config{})
	stop := busy(t, ip)
	stop()
	assert.False(t, ip.IsRunning())
}

func TestCloseRefusesWhatRuns(t *testing.T) { // N10
	assert.ErrorIs(t, interpreters.GetMain().Close(), interpreters.ErrInterpreter)
	ip := create(t, interpreters.Config{})
	stop := busy(t, ip)
	assert.ErrorIs(t, ip.Close(), interpreters.ErrRunning)
	stop()
	require.NoError(t, ip.Close())
	assert.ErrorIs(t, ip.Close(), interpreters.ErrNotFound)
	_, err := interpreters.Call(within(t), ip, tasks.Add, tasks.Pair{})
	assert.ErrorIs(t, err, interpreters.ErrNotFound)
	assert.ErrorIs(t, ip.PrepareMain(within(t), map[string]any{"x": 1}), interpreters.ErrNotFound)
	assert.ErrorIs(t, ip.Exec(within(t), ""), interpreters.ErrNotFound)
}

// TestInterpreterClose.test_from_current (N10)
func TestNobodyClosesTheInterpreterHeRunsIn(t *testing.T) {
	var refused error
	granted := futures.NewFunc("tasks.Granted", func(ctx context.Context, text string) (string, error) {
		refused = interpreters.GetCurrent(ctx).Close()
		return text, nil
	})
	ip := create(t, interpreters.Config{HostFuncs: []futures.Callable{granted}})
	for range 2 {
		text, err := interpreters.Call(within(t), ip, tasks.AskHost, "still here")
		require.NoError(t, err)
		assert.Equal(t, "still here", text)
		assert.ErrorIs(t, refused, interpreters.ErrRunning)
	}
	require.NoError(t, ip.Close())
}

func TestMainCannotBeChanged(t *testing.T) { // N11
	main := interpreters.GetMain()
	_, err := interpreters.Call(within(t), main, tasks.Add, tasks.Pair{})
	assert.ErrorIs(t, err, interpreters.ErrUnrecognized)
	assert.ErrorIs(t, main.PrepareMain(within(t), map[string]any{"x": 1}), interpreters.ErrUnrecognized)
	assert.ErrorIs(t, main.Exec(within(t), ""), interpreters.ErrUnrecognized)
}

func TestPrepareMainIsAllOrNothing(t *testing.T) { // N12, N13
	ip := create(t, interpreters.Config{})
	value := func(name string) (int, error) { return interpreters.Call(within(t), ip, tasks.Var, name) }
	_, err := value("x")
	require.ErrorContains(t, err, "not bound")

	assert.ErrorIs(t, ip.PrepareMain(within(t), nil), interpreters.ErrInterpreter, "nothing")
	assert.ErrorIs(t, ip.PrepareMain(within(t), map[string]any{"x": 1, "y": func() {}}), futures.ErrNotShareable)
	_, err = value("x")
	require.ErrorContains(t, err, "not bound")

	require.NoError(t, ip.PrepareMain(within(t), map[string]any{"x": 1, "y": 2}))
	require.NoError(t, ip.PrepareMain(within(t), map[string]any{"y": 3, "z": "text"}))
	for name, want := range map[string]int{"x": 1, "y": 3} {
		got, err := value(name)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err = value("z")
	assert.ErrorIs(t, err, futures.ErrNotShareable, "it is no int")

	stop := busy(t, ip)
	assert.ErrorIs(t, ip.PrepareMain(within(t), map[string]any{"x": 1}), interpreters.ErrRunning)
	stop()
}

func TestExecNeedsAnEngine(t *testing.T) {
	ip := create(t, interpreters.Config{})
	assert.ErrorIs(t, ip.Exec(within(t), "x = 1"), interpreters.ErrNoEngine)
}

func TestExecutionFailedSaysWhatHappened(t *testing.T) { // N15, N16, N18
	ip := create(t, interpreters.Config{})
	_, err := interpreters.Call(within(t), ip, tasks.Fail, struct{}{})
	var failed *interpreters.ExecutionFailed
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, interpreters.Excinfo{
		Type: "*errors.errorString", Msg: "tasks: known to both sides",
		Formatted: "*errors.errorString: tasks: known to both sides", ErrDisplay: "*errors.errorString: tasks: known to both sides",
	}, failed.Excinfo)
	assert.ErrorIs(t, err, tasks.ErrKnown, "it is registered on both sides")
	assert.ErrorIs(t, err, interpreters.ErrInterpreter)

	_, err = interpreters.Call(within(t), ip, tasks.Panic, "ouch")
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "string", failed.Excinfo.Type)
	assert.Equal(t, "ouch", failed.Excinfo.Msg)
	assert.Equal(t, "string: ouch", failed.Excinfo.Formatted)
	assert.Contains(t, failed.Excinfo.ErrDisplay, "tasks.go:", "the guest's own traceback")
	assert.Equal(t, failed.Excinfo.Formatted+"\n\nUncaught in the interpreter:\n\n"+failed.Excinfo.ErrDisplay, err.Error())
	var task *futures.TaskError
	require.ErrorAs(t, err, &task)
	assert.True(t, task.Panicked)

	sum, err := interpreters.Call(within(t), ip, tasks.Add, tasks.Pair{A: 1, B: 2})
	require.NoError(t, err, "the interpreter is as it was")
	assert.Equal(t, 3, sum)
}

func TestArgumentsAndResultsAreCopies(t *testing.T) { // N17
	ip := create(t, interpreters.Config{})
	mine := map[string][]int{"a": {1, 2}}
	theirs, err := interpreters.Call(within(t), ip, tasks.Change, mine)
	require.NoError(t, err)
	assert.Equal(t, map[string][]int{"a": {1, 2}}, mine)
	assert.Equal(t, map[string][]int{"a": {-1, 2}, "b": nil}, theirs)
}

// TestInterpreterCall.test_stateless_func_returns_arg, test_call_valid (N17, N22)
func TestWhatIsShareableComesBackEqual(t *testing.T) {
	ip := create(t, interpreters.Config{})
	for _, v := range []any{
		nil, true, 10, -10, uint64(math.MaxUint64), 1.5, "spam!", []byte("spam!"), []any{}, []any{"x", []any{true, nil}},
		map[string]any{"a": "b", "c": map[string]any{"d": 2.5}}, time.Unix(1, 2),
	} {
		require.True(t, interpreters.IsShareable(v), "%T", v)
		got, err := interpreters.Call(within(t), ip, tasks.Same, v)
		require.NoError(t, err, "%T", v)
		assert.EqualValues(t, v, got)
	}
}

func TestWhatCannotTravelIsNotShareable(t *testing.T) { // N18
	ip := create(t, interpreters.Config{})
	cases := map[string]func() error{
		"argument cannot be encoded": func() error {
			fn := futures.Declare[any, int]("tasks.Undecodable")
			_, err := interpreters.Call(within(t), ip, fn, any(func() {}))
			return err
		},
		"argument cannot be decoded": func() error {
			_, err := interpreters.Call(within(t), ip, tasks.Undecodable, tasks.Stubborn{})
			return err
		},
		"result cannot be encoded": func() error {
			_, err := interpreters.Call(within(t), ip, tasks.Unencodable, 1)
			return err
		},
		"other types": func() error {
			_, err := interpreters.Call(within(t), ip, futures.Declare[string, int]("tasks.Add"), "x")
			return err
		},
	}
	for name, call := range cases {
		err := call()
		var failed *interpreters.ExecutionFailed
		assert.ErrorIs(t, err, futures.ErrNotShareable, name)
		assert.NotErrorAs(t, err, &failed, name)
	}
	_, err := interpreters.Call(within(t), ip, futures.Declare[int, int]("tasks.Nowhere"), 1)
	assert.ErrorIs(t, err, futures.ErrNoBody)
	sum, err := interpreters.Call(within(t), ip, futures.Declare[any, any]("tasks.Add"), any(map[string]int{"A": 1, "B": 2}))
	require.NoError(t, err, "nothing is known of the types")
	assert.EqualValues(t, 3, sum)
}

func TestStatePersistsInOneInterpreterAndIsSeenInNoOther(t *testing.T) {
	a, b := create(t, interpreters.Config{}), create(t, interpreters.Config{})
	for want := 1; want <= 3; want++ {
		n, err := interpreters.Call(within(t), a, tasks.SetGlobal, "x")
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	n, err := interpreters.Call(within(t), b, tasks.Global, "x")
	require.NoError(t, err)
	assert.Zero(t, n)
}

func TestCallInThreadDropsTheResult(t *testing.T) { // N21
	ip := create(t, interpreters.Config{})
	interpreters.CallInThread(within(t), ip, tasks.SetGlobal, "x").Join()
	interpreters.CallInThread(within(t), ip, tasks.Fail, struct{}{}).Join()
	n, err := interpreters.Call(within(t), ip, tasks.Global, "x")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

func TestIsShareable(t *testing.T) { // N22
	for _, v := range []any{nil, true, 1, 1.5, "text", []byte("bytes"), []any{1, "x"}, map[string]int{"x": 1}, tasks.Pair{}, interpreters.CreateQueue(0)} {
		assert.True(t, interpreters.IsShareable(v), "%T", v)
	}
	for _, v := range []any{func() {}, make(chan int), []any{func() {}}, create(t, interpreters.Config{}).IsRunning} {
		assert.False(t, interpreters.IsShareable(v), "%T", v)
	}
}

func TestExactlyOneCallAtATime(t *testing.T) { // N26
	ip := create(t, interpreters.Config{})
	const callers, calls = 8, 50
	var done atomic.Int64
	over := make(chan struct{}, 1) // a call has ended since somebody was last woken
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := 0; i < calls; {
				switch _, err := interpreters.Call(context.Background(), ip, tasks.SetGlobal, "x"); {
				case err == nil:
					done.Add(1)
					i++
					select {
					case over <- struct{}{}:
					default:
					}
				case errors.Is(err, interpreters.ErrRunning):
					<-over // whoever is running will say so
				default:
					assert.NoError(t, err)
					return
				}
			}
		})
	}
	all.Wait()
	n, err := interpreters.Call(within(t), ip, tasks.Global, "x")
	require.NoError(t, err)
	assert.Equal(t, callers*calls, n)
	assert.EqualValues(t, callers*calls, done.Load())
}

func TestManyAreCreatedCalledAndClosedAtOnce(t *testing.T) { // N26
	before := interpreters.ListAll()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				ip, err := interpreters.Create(context.Background(), image, interpreters.Config{MemoryLimit: 32 << 20})
				if !assert.NoError(t, err) {
					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				_, err = interpreters.Call(ctx, ip, tasks.SpinPolitely, struct{}{})
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				cancel()
				assert.NoError(t, ip.Close())
			}
		})
	}
	all.Wait()
	assert.Equal(t, before, interpreters.ListAll())
}

func TestCreateRefusesWhatIsWrong(t *testing.T) {
	_, err := interpreters.Create(within(t), nil, interpreters.Config{})
	assert.ErrorIs(t, err, interpreters.ErrImage)
	_, err = interpreters.Create(within(t), image, interpreters.Config{MemoryLimit: 1 << 40, Env: []string{"x"}})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "MemoryLimit")
	assert.Contains(t, err.Error(), "Env")
	_, err = interpreters.Create(within(t), image, interpreters.Config{MemoryLimit: 1 << 20})
	assert.ErrorIs(t, err, interpreters.ErrImage, "the program alone needs more")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = interpreters.Create(ctx, image, interpreters.Config{})
	assert.ErrorIs(t, err, context.Canceled)
	_, err = interpreters.Load(within(t), []byte("no wasm"), interpreters.ImageConfig{})
	assert.ErrorIs(t, err, interpreters.ErrImage)
}

func TestAnImageIsCompiledOnceAndClosedByItsLastUser(t *testing.T) {
	var images [4]*interpreters.Image
	var all sync.WaitGroup
	config := interpreters.ImageConfig{CacheDir: cacheDir, MaxMemory: 64 << 20}
	for i := range images {
		all.Go(func() {
			var err error
			images[i], err = interpreters.Load(context.Background(), wasm, config)
			assert.NoError(t, err)
		})
	}
	all.Wait()
	ip, err := interpreters.Create(within(t), images[0], interpreters.Config{})
	require.NoError(t, err)
	for _, img := range images {
		require.NoError(t, img.Close())
		assert.ErrorIs(t, img.Close(), interpreters.ErrImage)
	}
	_, err = interpreters.Create(within(t), images[0], interpreters.Config{})
	assert.ErrorIs(t, err, interpreters.ErrImage)
	sum, err := interpreters.Call(within(t), ip, tasks.Add, tasks.Pair{A: 1, B: 2})
	require.NoError(t, err, "it goes on")
	assert.Equal(t, 3, sum)
	require.NoError(t, ip.Close())
}

func TestADamagedCacheCostsTimeAndNothingElse(t *testing.T) {
	config := interpreters.ImageConfig{CacheDir: t.TempDir()}
	load := func() {
		t.Helper()
		img, err := interpreters.Load(within(t), words, config)
		require.NoError(t, err)
		require.NoError(t, interpreters.ExecModule(within(t), img, interpreters.Config{}))
		require.NoError(t, img.Close())
	}
	load()
	damaged := 0
	require.NoError(t, filepath.WalkDir(config.CacheDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		damaged++
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()/2)
	}))
	require.Positive(t, damaged, "there is a cache")
	load()
}

func TestSlownessMayBeAllowed(t *testing.T) {
	img, err := interpreters.Load(within(t), words, interpreters.ImageConfig{OnSlowPlatform: interpreters.AllowSlow})
	require.NoError(t, err)
	require.NoError(t, interpreters.ExecModule(within(t), img, interpreters.Config{}))
	require.NoError(t, img.Close())
}

func TestACacheThatCannotBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := interpreters.Load(within(t), words, interpreters.ImageConfig{CacheDir: file})
	assert.ErrorIs(t, err, interpreters.ErrImage)
}

func TestACancelledLoadWaitsForNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	config := interpreters.ImageConfig{CacheDir: cacheDir, MaxMemory: 96 << 20}
	_, err := interpreters.Load(ctx, wasm, config)
	assert.ErrorIs(t, err, context.Canceled)
	img, err := interpreters.Load(within(t), wasm, config)
	require.NoError(t, err)
	require.NoError(t, img.Close())
}

func TestTheCallThatMeetsADoneCtxDoesNotRun(t *testing.T) {
	ip := create(t, interpreters.Config{})
	sentinel := errors.New("no more")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(sentinel)
	_, err := interpreters.Call(ctx, ip, tasks.SetGlobal, "x")
	assert.Equal(t, sentinel, err)
	n, err := interpreters.Call(within(t), ip, tasks.Global, "x")
	require.NoError(t, err)
	assert.Zero(t, n)
}

func TestLargeValuesTravel(t *testing.T) {
	ip := create(t, interpreters.Config{})
	for _, size := range []int{0, 1, 100, 4 << 10, 64 << 10, 3 << 20, 10, 2 << 20, 5} {
		b := []byte(strings.Repeat("x", size))
		got, err := interpreters.Call(within(t), ip, tasks.Echo, b)
		require.NoError(t, err)
		assert.Equal(t, b, got)
	}
}
