package interpreters_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

func newPool(t testing.TB, config interpreters.PoolConfig) *interpreters.InterpreterPoolExecutor {
	t.Helper()
	config.Image = image
	pool, err := interpreters.NewPool(config)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pool.Close()) })
	return pool
}

func TestAPoolRunsWhatThreadsAndProcessesRun(t *testing.T) {
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 2})
	sum, err := futures.Submit(within(t), pool, tasks.Add, tasks.Pair{A: 1, B: 2}).Result(within(t))
	require.NoError(t, err)
	assert.Equal(t, 3, sum)
	numbers := []uint64{2, 9, 112272535095293, 4}
	var primes []bool
	for prime, err := range futures.Map(within(t), pool, tasks.IsPrime, slices.Values(numbers)) {
		require.NoError(t, err)
		primes = append(primes, prime)
	}
	assert.Equal(t, []bool{true, false, true, false}, primes)
}

func TestAFailureInAPoolIsTheFunctionsOwn(t *testing.T) { // I10
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1})
	err := futures.Submit(within(t), pool, tasks.Fail, struct{}{}).Err(within(t))
	var task *futures.TaskError
	require.ErrorAs(t, err, &task)
	assert.Equal(t, "tasks.Fail: tasks: known to both sides", err.Error())
	assert.ErrorIs(t, err, tasks.ErrKnown)
	var failed *interpreters.ExecutionFailed
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "tasks: known to both sides", failed.Excinfo.Msg)
}

func TestWorkersKeepTheirState(t *testing.T) { // I4
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1, Initializer: futures.Bind(tasks.SetGlobal, "x")})
	for want := 2; want < 5; want++ {
		n, err := futures.Submit(within(t), pool, tasks.SetGlobal, "x").Result(within(t))
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
}

// The interpreters of a pool are in ListAll, for anybody to close.
func TestAnIdleInterpreterOfAPoolThatIsEndedIsReplaced(t *testing.T) {
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1})
	for name, end := range map[string]func(*interpreters.Interpreter){
		"close": func(ip *interpreters.Interpreter) { assert.NoError(t, ip.Close()) },
		"kill":  func(ip *interpreters.Interpreter) { ip.Kill(nil) },
	} {
		id, err := futures.Submit(within(t), pool, tasks.Self, struct{}{}).Result(within(t))
		require.NoError(t, err)
		ip, err := interpreters.Lookup(id)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return !ip.IsRunning() }, patience, time.Millisecond)
		end(ip)
		other, err := futures.Submit(within(t), pool, tasks.Self, struct{}{}).Result(within(t))
		require.NoError(t, err, name)
		assert.NotEqual(t, id, other)
	}
}

func TestNoInterpreterIsCreatedWhenNothingIsLeftToDo(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	created := 0
	granted := futures.NewFunc("tasks.Granted", func(_ context.Context, text string) (string, error) {
		if text == "initializer" {
			created++
			return "", nil
		}
		close(began)
		<-release
		return "", nil
	})
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1, MaxTasksPerInterpreter: 1, Initializer: futures.Bind(tasks.AskHost, "initializer"),
		Interpreter: interpreters.Config{HostFuncs: []futures.Callable{granted}}})
	last := futures.Submit(within(t), pool, tasks.AskHost, "")
	<-began
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, pool.Shutdown(gone), context.Canceled, "it has only begun")
	close(release)
	require.NoError(t, last.Err(within(t)))
	require.NoError(t, pool.Close())
	assert.Equal(t, 1, created)
}

func TestACallThatKillsItsInterpreterFailsAlone(t *testing.T) {
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1, Initializer: futures.Bind(tasks.SetGlobal, "x"), Interpreter: interpreters.Config{Grace: time.Millisecond}})
	before := len(interpreters.ListAll())
	deadly := futures.Submit(within(t), pool, tasks.Exit, 3)
	next := futures.Submit(within(t), pool, tasks.SetGlobal, "x")
	var died *interpreters.Died
	require.ErrorAs(t, deadly.Err(within(t)), &died)
	assert.Equal(t, interpreters.Exit, died.Reason)
	n, err := next.Result(within(t))
	require.NoError(t, err)
	assert.Equal(t, 2, n, "the other one was initialized, too")

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = futures.Submit(ctx, pool, tasks.Spin, struct{}{}).Err(within(t))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	err = futures.Submit(within(t), pool, tasks.Spin, struct{}{}, futures.Timeout(20*time.Millisecond)).Err(within(t))
	assert.ErrorIs(t, err, futures.ErrTimeout)
	err = futures.Submit(within(t), pool, tasks.Listen, struct{}{}, futures.Timeout(20*time.Millisecond)).Err(within(t))
	assert.ErrorIs(t, err, futures.ErrTimeout)
	n, err = futures.Submit(within(t), pool, tasks.SetGlobal, "x").Result(within(t))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, n, 2)
	assert.Len(t, interpreters.ListAll(), before+1)
}

func TestRetriesRunAgainAfterADeath(t *testing.T) {
	q, h := queue(t, 0)
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1})
	err := futures.Submit(within(t), pool, tasks.PutAndExit, h, futures.Retries(2)).Err(within(t))
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.Equal(t, 3, q.QSize())
}

func TestInterpretersAreReplacedAfterSoManyTasks(t *testing.T) {
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1, MaxTasksPerInterpreter: 2})
	var ids []int64
	for range 5 {
		id, err := futures.Submit(within(t), pool, tasks.Self, struct{}{}).Result(within(t))
		require.NoError(t, err)
		ids = append(ids, id)
	}
	assert.Equal(t, ids[0], ids[1])
	assert.Equal(t, ids[2], ids[3])
	assert.Len(t, slices.Compact(ids), 3)
}

func TestAFailedInitializerBreaksThePool(t *testing.T) { // I5
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1, Initializer: futures.Bind(tasks.Fail, struct{}{})})
	before := interpreters.ListAll()
	for range 2 {
		err := futures.Submit(within(t), pool, tasks.Add, tasks.Pair{}).Err(within(t))
		assert.ErrorIs(t, err, interpreters.ErrBrokenInterpreterPool)
		assert.ErrorIs(t, err, futures.ErrBrokenExecutor)
		assert.ErrorIs(t, err, tasks.ErrKnown)
	}
	require.NoError(t, pool.Close())
	assert.Equal(t, before, interpreters.ListAll(), "its interpreter is closed")
}

// A start that never returns would be tried for ever.
func TestAStartThatIsLeftByGoexitBreaksThePool(t *testing.T) {
	left := futures.NewFunc("tasks.Granted", func(context.Context, string) (string, error) {
		runtime.Goexit()
		return "", nil
	})
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1, Initializer: futures.Bind(tasks.AskHost, ""), Interpreter: interpreters.Config{HostFuncs: []futures.Callable{left}}})
	err := futures.Submit(within(t), pool, tasks.Add, tasks.Pair{}).Err(within(t))
	assert.ErrorIs(t, err, interpreters.ErrBrokenInterpreterPool)
	assert.ErrorContains(t, err, "runtime.Goexit")
	require.NoError(t, pool.Close())
}

func TestAPoolClosesItsInterpreters(t *testing.T) {
	before := interpreters.ListAll()
	pool, err := interpreters.NewPool(interpreters.PoolConfig{Image: image, MaxWorkers: 3})
	require.NoError(t, err)
	var all []*futures.Future[int]
	for range 20 {
		all = append(all, futures.Submit(within(t), pool, tasks.Add, tasks.Pair{A: 1, B: 1}))
	}
	require.NoError(t, pool.Close())
	for _, f := range all {
		n, err := f.Result(within(t))
		require.NoError(t, err, "queued work finishes")
		assert.Equal(t, 2, n)
	}
	assert.Equal(t, before, interpreters.ListAll())
	assert.ErrorIs(t, futures.Submit(within(t), pool, tasks.Add, tasks.Pair{}).Err(within(t)), futures.ErrShutdown)
}

func TestAPoolRefusesAWrongConfig(t *testing.T) {
	_, err := interpreters.NewPool(interpreters.PoolConfig{MaxWorkers: -1, MaxTasksPerInterpreter: -1})
	require.Error(t, err)
	for _, field := range []string{"Image", "MaxWorkers", "MaxTasksPerInterpreter"} {
		assert.Contains(t, err.Error(), field)
	}
	var pool *interpreters.InterpreterPoolExecutor
	assert.NoError(t, pool.Close())
}

func TestAFunctionOfTheHostCannotWaitForItsOwnPool(t *testing.T) {
	var pool *interpreters.InterpreterPoolExecutor
	granted := futures.NewFunc("tasks.Granted", func(ctx context.Context, _ string) (string, error) {
		err := pool.Shutdown(ctx)
		if errors.Is(err, interpreters.ErrOwnWorker) {
			return "as expected", nil
		}
		return "", err
	})
	pool = newPool(t, interpreters.PoolConfig{MaxWorkers: 1, Interpreter: interpreters.Config{HostFuncs: []futures.Callable{granted}}})
	text, err := futures.Submit(within(t), pool, tasks.AskHost, "").Result(within(t))
	require.NoError(t, err)
	assert.Equal(t, "as expected", text)
}

// running counts the interpreters, besides the main one, in which code runs.
func running() (n int) {
	for _, ip := range interpreters.ListAll()[1:] {
		if ip.IsRunning() {
			n++
		}
	}
	return n
}

// InterpreterPoolExecutorTest.test_saturation, test_blocking, test_blocking_with_limited_workers (I1, I11)
func TestCallsOfAPoolWaitAtQueues(t *testing.T) {
	const workers, calls = 4, 15 * 4
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: workers, Interpreter: interpreters.Config{MemoryLimit: 32 << 20}})
	before := len(interpreters.ListAll())
	blocker, from := queue(t, 0)
	out, to := queue(t, 0)
	var all []*futures.Future[struct{}]
	for range calls {
		all = append(all, futures.Submit(within(t), pool, tasks.Relay, tasks.Relaying{From: from, To: to, N: 1}))
	}
	require.Eventually(t, func() bool { return running() == workers }, patience, time.Millisecond)
	assert.Len(t, interpreters.ListAll(), before+workers)
	assert.True(t, out.Empty(), "they wait")
	for i := range calls {
		require.NoError(t, blocker.Put(within(t), i))
	}
	for _, f := range all {
		require.NoError(t, f.Err(within(t)))
	}
	assert.Equal(t, calls, out.QSize())
	assert.Len(t, interpreters.ListAll(), before+workers, "as many as there were")
}

// InterpreterPoolExecutorTest.test_idle_thread_reuse (I1)
func TestAnIdleInterpreterIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, err := interpreters.NewPool(interpreters.PoolConfig{Image: image})
		require.NoError(t, err)
		var ids []int64
		for range 3 {
			id, err := futures.Submit(t.Context(), pool, tasks.Self, struct{}{}).Result(t.Context())
			require.NoError(t, err)
			ids = append(ids, id)
			synctest.Wait() // a worker is idle a moment after its result is out
		}
		assert.Len(t, slices.Compact(ids), 1)
		require.NoError(t, pool.Close())
	})
}

func TestThePoolsNameIsALabel(t *testing.T) { // I2
	granted := futures.NewFunc("tasks.Granted", func(ctx context.Context, _ string) (string, error) {
		name, _ := pprof.Label(ctx, "worker")
		return name, nil
	})
	name := func(prefix string) string {
		pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1, NamePrefix: prefix, Interpreter: interpreters.Config{HostFuncs: []futures.Callable{granted}}})
		text, err := futures.Submit(within(t), pool, tasks.AskHost, "").Result(within(t))
		require.NoError(t, err)
		return text
	}
	assert.Equal(t, "mine_0", name("mine"))
	first, second := name(""), name("")
	assert.Regexp(t, `^InterpreterPoolExecutor-\d+_0$`, first)
	assert.Regexp(t, `^InterpreterPoolExecutor-\d+_0$`, second)
	assert.NotEqual(t, first, second)
}

// InterpreterPoolExecutorTest.test_submit_local_instance, test_pickle_errors_propagate (I7, I8)
func TestWhatCannotTravelFailsItsOwnCall(t *testing.T) {
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 1})
	ctx := within(t)
	before, err := futures.Submit(ctx, pool, tasks.Self, struct{}{}).Result(ctx)
	require.NoError(t, err)
	assert.ErrorIs(t, futures.Submit(ctx, pool, futures.Declare[any, int]("tasks.Undecodable"), any(func() {})).Err(ctx), futures.ErrNotShareable)
	assert.ErrorIs(t, futures.Submit(ctx, pool, tasks.Undecodable, tasks.Stubborn{}).Err(ctx), futures.ErrNotShareable)
	assert.ErrorIs(t, futures.Submit(ctx, pool, tasks.Unencodable, 1).Err(ctx), futures.ErrNotShareable)
	assert.ErrorIs(t, futures.Submit(ctx, pool, futures.Declare[int, int]("tasks.Nowhere"), 1).Err(ctx), futures.ErrNoBody)
	after, err := futures.Submit(ctx, pool, tasks.Self, struct{}{}).Result(ctx)
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

func TestThePoolsInterpretersWriteInTurn(t *testing.T) {
	var out strings.Builder // which the race detector watches
	pool := newPool(t, interpreters.PoolConfig{MaxWorkers: 3, Interpreter: interpreters.Config{Stdout: &out, Stderr: &out}})
	var all []*futures.Future[struct{}]
	for range 30 {
		all = append(all, futures.Submit(within(t), pool, tasks.Write, "text"))
	}
	require.NoError(t, pool.Close())
	for _, f := range all {
		assert.NoError(t, f.Err(within(t)))
	}
	assert.Equal(t, strings.Repeat("text", 60), out.String())
}
