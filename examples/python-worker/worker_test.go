//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

var (
	typed      = futures.Declare[int, string]("trial.typed")
	double     = futures.Declare[int, int]("trial.double")
	pid        = futures.Declare[int, int]("trial.pid")
	fail       = futures.Declare[string, int]("trial.fail")
	readFile   = futures.Declare[string, string]("trial.read_file")
	leave      = futures.Declare[int, int]("trial.leave")
	exitAtOnce = futures.Declare[int, int]("trial.exit")
	kill       = futures.Declare[int, int]("trial.kill")
	say        = futures.Declare[string, int]("trial.say")
	hang       = futures.Declare[string, int]("trial.hang")
	meet       = futures.Declare[[]string, int]("trial.meet")
	garbage    = futures.Declare[[]byte, int]("trial.garbage")
	initialize = futures.Declare[int, struct{}]("trial.initialize")
	getState   = futures.Declare[int, []int]("trial.state")
)

// python finds an interpreter that has msgpack.
func python(t *testing.T) string {
	t.Helper()
	name := interpreter()
	if name == "" {
		t.Skip("SKIPPED: THE PYTHON WORKER IS NOT TESTED: neither python3 nor /usr/bin/python3 has the module msgpack: apt-get install python3-msgpack, or pip install msgpack")
	}
	return name
}

var interpreter = sync.OnceValue(func() string {
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import msgpack").Run() == nil {
			return name
		}
	}
	return ""
})

// newPool makes a pool of Python workers.
func newPool(t *testing.T, config procpool.Config) *procpool.ProcessPoolExecutor {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	if config.Worker.String() == "" {
		config.Worker = procpool.Command(python(t), filepath.Join("testdata", "trials.py"))
	}
	config.Env = append(append(os.Environ(), config.Env...), "PYTHONPATH="+here, "PYTHONDONTWRITEBYTECODE=1")
	if config.MaxWorkers == 0 {
		config.MaxWorkers = 1
	}
	pool, err := procpool.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

func call[In, Out any](t *testing.T, pool futures.Executor, fn futures.Func[In, Out], in In, opts ...futures.CallOption) (Out, error) {
	t.Helper()
	return futures.Submit(t.Context(), pool, fn, in, opts...).Result(t.Context())
}

func TestProgram(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, procpool.Command(python(t), "stats_worker.py")))
	assert.Equal(t, `mean 2.50, median 2.50, standard deviation 1.29
stats.Describe: stdev requires at least two data points
mean 17.50, median 10.00, standard deviation 15.00
`, out.String())
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	type inner struct {
		Renamed string `msgpack:"name"`
		Missing *int
	}
	type outer struct {
		Text   string
		Number int64
		Bytes  []byte
		List   []inner
		Map    map[string]float64
		At     time.Time
	}
	pool := newPool(t, procpool.Config{})
	echo(t, pool, 0)
	echo(t, pool, int64(math.MinInt64))
	echo(t, pool, uint64(math.MaxUint64))
	echo(t, pool, int8(-7))
	echo(t, pool, true)
	echo(t, pool, math.Pi)
	echo(t, pool, math.Inf(-1))
	echo(t, pool, "")
	echo(t, pool, "schön \x00 世界")
	echo(t, pool, "not UTF-8: \xff\xfe")
	echo(t, pool, strings.Repeat("long", 1<<20))
	echo(t, pool, []byte{0, 0xc1, 0xff})
	echo(t, pool, []string{"a", "b"})
	echo(t, pool, [2]int{1, 2})
	echo(t, pool, map[string][]int{"a": {1}, "b": nil})
	echo(t, pool, map[int]string{1: "one", -2: "minus two"})
	echo(t, pool, struct{}{})
	echo(t, pool, (*inner)(nil))
	echo(t, pool, time.Minute)
	echo(t, pool, outer{
		"text", 1 << 40, []byte{1}, []inner{{Renamed: "x"}}, map[string]float64{"pi": 3.14}, time.Unix(1_700_000_000, 123_456_000),
	})
}

func echo[T any](t *testing.T, pool futures.Executor, v T) {
	t.Helper()
	back, err := call(t, pool, futures.Declare[T, T]("trial.echo"), v)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%#v", v), fmt.Sprintf("%#v", back))
}

func TestGoTypesInPython(t *testing.T) {
	pool := newPool(t, procpool.Config{})
	nameOf := func(v any) string {
		name, err := call(t, pool, futures.Declare[any, string]("trial.name_of_type"), v)
		require.NoError(t, err)
		return name
	}
	assert.Equal(t, "int", nameOf(1))
	assert.Equal(t, "float", nameOf(1.0))
	assert.Equal(t, "str", nameOf("x"))
	assert.Equal(t, "bytes", nameOf([]byte("x")))
	assert.Equal(t, "list", nameOf([]int{1}))
	assert.Equal(t, "dict", nameOf(struct{ X int }{1}))
	assert.Equal(t, "datetime", nameOf(time.Unix(1, 0)))
	assert.Equal(t, "NoneType", nameOf(nil))
}

func TestResultsThatGoCannotTake(t *testing.T) {
	pool := newPool(t, procpool.Config{})
	result := futures.Declare[string, int]("trial.result")
	for _, name := range []string{"object", "huge", "text", "tuple"} {
		_, err := call(t, pool, result, name)
		assert.ErrorIs(t, err, futures.ErrNotShareable, name)
	}
	tuple, err := call(t, pool, futures.Declare[string, []int]("trial.result"), "tuple")
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, tuple)
	none, err := call(t, pool, futures.Declare[string, *int]("trial.result"), "none")
	require.NoError(t, err)
	assert.Nil(t, none)
	assert.Equal(t, 1, pool.Stats().Started, "all of it in one worker")
}

func TestAResultThatIsTooLong(t *testing.T) {
	const most = 100_000
	pool := newPool(t, procpool.Config{MaxResult: most})
	echoBytes := futures.Declare[[]byte, []byte]("trial.echo")
	longest := make([]byte, most-5) // and a head of 5 bytes
	for range 2 {
		got, err := call(t, pool, echoBytes, longest)
		require.NoError(t, err)
		assert.Equal(t, longest, got)
		_, err = call(t, pool, echoBytes, make([]byte, len(longest)+1))
		require.ErrorIs(t, err, futures.ErrNotShareable)
		assert.ErrorContains(t, err, "it takes 100001 bytes, and the host takes results of up to 100000 (Config.MaxResult)")
	}
	assert.Equal(t, 1, pool.Stats().Started, "all of it in one worker")
}

func TestArgumentsThatPythonCannotTake(t *testing.T) {
	pool := newPool(t, procpool.Config{})
	_, err := call(t, pool, futures.Declare[map[[2]int]bool, int]("trial.echo"), map[[2]int]bool{{1, 2}: true})
	require.ErrorIs(t, err, futures.ErrNotShareable)
	assert.ErrorContains(t, err, "unhashable", "a list is no key of a dict")
	echo(t, pool, "and the worker goes on")
}

func TestErrorsCarryTheTraceback(t *testing.T) {
	pool := newPool(t, procpool.Config{})
	_, err := call(t, pool, fail, "no such luck")
	var task *futures.TaskError
	require.ErrorAs(t, err, &task)
	assert.Equal(t, "trial.fail", task.Func)
	assert.Equal(t, "ValueError", task.Type)
	assert.Equal(t, "no such luck", task.Message)
	assert.False(t, task.Panicked)
	assert.Contains(t, task.Stack, "Traceback (most recent call last):")
	assert.Contains(t, task.Stack, "raise ValueError(message)")
	assert.Contains(t, fmt.Sprintf("%+v", err), "trials.py")

	_, err = call(t, pool, fail, strings.Repeat("世", 1<<20))
	require.ErrorAs(t, err, &task)
	assert.Less(t, len(task.Message), 1<<18, "long texts are cut")

	_, err = call(t, pool, readFile, filepath.Join(t.TempDir(), "missing"))
	require.ErrorAs(t, err, &task)
	assert.Equal(t, "FileNotFoundError", task.Type)
	assert.ErrorIs(t, err, fs.ErrNotExist, "it keeps its identity")

	_, err = call(t, pool, leave, 4)
	require.ErrorAs(t, err, &task, "sys.exit is a failure of the function")
	assert.Equal(t, "SystemExit", task.Type)
	assert.Equal(t, 1, pool.Stats().Started, "all of it in one worker")
}

func TestCrashBreaksThePool(t *testing.T) {
	pool := newPool(t, procpool.Config{})
	_, err := call(t, pool, exitAtOnce, 7)
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	assert.Equal(t, 7, crash.ExitCode)
	assert.Equal(t, "trial.exit", crash.Func)
	assert.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
	_, err = call(t, pool, double, 1)
	assert.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
}

func TestCrashCostsOneWorker(t *testing.T) {
	pool := newPool(t, procpool.Config{OnCrash: procpool.ReplaceWorker})
	before, err := call(t, pool, pid, 0)
	require.NoError(t, err)
	_, err = call(t, pool, kill, int(syscall.SIGKILL))
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	assert.Equal(t, before, crash.PID)
	assert.Equal(t, syscall.SIGKILL, crash.Signal)
	after, err := call(t, pool, pid, 0)
	require.NoError(t, err)
	assert.NotEqual(t, before, after)
}

func TestPrintBelongsToTheUser(t *testing.T) {
	var output bytes.Buffer
	pool := newPool(t, procpool.Config{Stderr: &output, OnCrash: procpool.ReplaceWorker})
	_, err := call(t, pool, say, "1|1|unix|not-a-handshake|netrpc\n")
	require.NoError(t, err)
	flood := strings.Repeat("no newline ", 100_000)
	n, err := call(t, pool, say, flood)
	require.NoError(t, err)
	assert.Equal(t, len(flood), n)
	_, err = call(t, pool, exitAtOnce, 1)
	require.Error(t, err)
	require.NoError(t, pool.Close())
	assert.Equal(t, "1|1|unix|not-a-handshake|netrpc\n"+flood+"last words\n", output.String())
}

func TestTimeoutKillsAWorkerThatDoesNotListen(t *testing.T) {
	pool := newPool(t, procpool.Config{OnCrash: procpool.ReplaceWorker, KillGrace: 50 * time.Millisecond})
	_, err := call(t, pool, hang, makeFIFO(t), futures.Timeout(50*time.Millisecond))
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	require.ErrorIs(t, err, futures.ErrTimeout)
	assert.Equal(t, syscall.SIGKILL, crash.Signal)
	assert.NotErrorIs(t, err, procpool.ErrBrokenProcessPool)
	echo(t, pool, "the next call has another worker")
}

func TestDoneContextKillsAWorkerThatDoesNotListen(t *testing.T) {
	pool := newPool(t, procpool.Config{OnCrash: procpool.ReplaceWorker, KillGrace: 50 * time.Millisecond})
	fifo := makeFIFO(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	hung := futures.Submit(ctx, pool, hang, fifo)
	started, err := os.Open(fifo)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, started.Close()) })
	enough := errors.New("enough")
	cancel(enough)
	_, err = hung.Result(t.Context())
	assert.ErrorIs(t, err, enough)
	var crash *procpool.WorkerCrashError
	assert.ErrorAs(t, err, &crash)
}

func TestManyCallsOverTwoWorkers(t *testing.T) {
	pool := newPool(t, procpool.Config{MaxWorkers: 2})
	fifo := makeFIFO(t)
	reader := futures.Submit(t.Context(), pool, meet, []string{fifo, "r"})
	writer := futures.Submit(t.Context(), pool, meet, []string{fifo, "w"})
	one, err := reader.Result(t.Context())
	require.NoError(t, err)
	other, err := writer.Result(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, one, other, "two ran at once")

	const calls = 2000
	numbers := func(yield func(int) bool) {
		for i := range calls {
			if !yield(i) {
				return
			}
		}
	}
	want := 0
	for n, err := range futures.Map(t.Context(), pool, double, numbers) {
		require.NoError(t, err)
		require.Equal(t, 2*want, n, "in the order of the inputs")
		want++
	}
	assert.Equal(t, calls, want)
	seen := map[int]bool{}
	for item, err := range futures.MapUnordered(t.Context(), pool, double, numbers, futures.Chunksize(7)) {
		require.NoError(t, err)
		require.Equal(t, 2*item.In, item.Out)
		seen[item.Index] = true
	}
	assert.Len(t, seen, calls)
	assert.Equal(t, 2, pool.Stats().Started)
}

func TestMapYieldsFailuresInTheirPlace(t *testing.T) {
	pool := newPool(t, procpool.Config{OnCrash: procpool.ReplaceWorker})
	var fates []string
	for _, err := range futures.Map(t.Context(), pool, doubleAny, slices.Values([]any{1, nil, 3})) {
		var task *futures.TaskError
		switch {
		case err == nil:
			fates = append(fates, "ok")
		case errors.As(err, &task):
			fates = append(fates, task.Type)
		}
	}
	assert.Equal(t, []string{"ok", "TypeError", "ok"}, fates)
}

// doubleAny is double for whatever Python can double, which None is not.
var doubleAny = futures.Declare[any, int]("trial.double")

func TestInitializer(t *testing.T) {
	pool := newPool(t, procpool.Config{Initializer: futures.Bind(initialize, 5)})
	for range 2 {
		state, err := call(t, pool, getState, 0)
		require.NoError(t, err)
		assert.Equal(t, []int{5}, state, "it ran once")
	}
}

func TestInitializerThatFails(t *testing.T) {
	pool := newPool(t, procpool.Config{Initializer: futures.Bind(initialize, -5)})
	_, err := call(t, pool, getState, 0)
	require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
	var initializer *procpool.InitializerError
	require.ErrorAs(t, err, &initializer)
	var task *futures.TaskError
	require.ErrorAs(t, err, &task)
	assert.Equal(t, "-5 is negative", task.Message)
}

func TestFunctionThatIsNotOffered(t *testing.T) {
	pool := newPool(t, procpool.Config{})
	_, err := call(t, pool, futures.Declare[int, int]("trial.ehco"), 1)
	require.ErrorIs(t, err, futures.ErrNoBody)
	assert.ErrorContains(t, err, "trial.ehco")
	assert.ErrorContains(t, err, "trial.echo", "it names what is offered")
	assert.ErrorContains(t, err, "trials.py Python 3", "and by whom")
}

func TestTypesAreCheckedWhereTheWorkerNamesThem(t *testing.T) {
	pool := newPool(t, procpool.Config{})
	text, err := call(t, pool, typed, 7)
	require.NoError(t, err)
	assert.Equal(t, "7", text)
	_, err = call(t, pool, futures.Declare[string, string]("trial.typed"), "7")
	require.ErrorIs(t, err, futures.ErrNotShareable)
	assert.ErrorContains(t, err, "takes string in this program and int in the worker")
}

func TestGarbageIsNamedAndNotBelieved(t *testing.T) {
	for _, stray := range []string{"print?\n", "\n", "\xc1cf\x01\xff\xff\xff\xff", "\xc1cf\x01\x00\x00\x00\x01\x90"} {
		pool := newPool(t, procpool.Config{})
		_, err := call(t, pool, garbage, []byte(stray))
		var crash *procpool.WorkerCrashError
		require.ErrorAs(t, err, &crash, "%q", stray)
		assert.ErrorIs(t, crash.Cause, ipc.ErrProtocol, "%q", stray)
		if stray[0] != ipcMagic {
			assert.ErrorContains(t, err, fmt.Sprintf("%q", stray))
		}
	}
}

const ipcMagic = 0xC1

func TestStartedByHand(t *testing.T) {
	cmd := exec.Command(python(t), "stats_worker.py")
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 2, exit.ExitCode())
	assert.Contains(t, string(text), "is a worker")
	assert.Contains(t, string(text), "stats.Describe")
}

func TestAnotherVersionOfTheProtocol(t *testing.T) {
	cmd := exec.Command(python(t), "stats_worker.py")
	cmd.Env = append(os.Environ(), ipc.CookieKey+"="+ipc.CookieValue, "PLUGIN_PROTOCOL_VERSIONS=2,11")
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 3, exit.ExitCode())
	assert.Contains(t, string(text), `version '2,11'`)
}

// The lifeline: a worker does not outlive its requests, even if it is busy.
func TestEndOfRequestsEndsABusyWorker(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	fifo := makeFIFO(t)
	theirRequests, requests, err := os.Pipe()
	require.NoError(t, err)
	responses, theirResponses, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command(python(t), filepath.Join("testdata", "trials.py"))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+here, "PYTHONDONTWRITEBYTECODE=1", ipc.CookieKey+"="+ipc.CookieValue, "PLUGIN_PROTOCOL_VERSIONS=1")
	cmd.ExtraFiles = []*os.File{theirRequests, theirResponses}
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, os.Stderr
	require.NoError(t, cmd.Start())
	require.NoError(t, errors.Join(theirRequests.Close(), theirResponses.Close()))

	arg, err := ipc.AppendValue(nil, &fifo)
	require.NoError(t, err)
	frames := ipc.AppendNotification(nil, ipc.Welcome, ipc.WelcomeParam{Protocol: ipc.Version, MaxBody: ipc.MaxBody})
	frames = ipc.AppendRequest(frames, 1, hang.Name(), ipc.Meta{Timeout: 1, Attempt: 2}, arg)
	_, err = requests.Write(frames)
	require.NoError(t, err)
	started, err := os.Open(fifo)
	require.NoError(t, err)
	require.NoError(t, requests.Close())
	require.NoError(t, cmd.Wait())
	assert.Equal(t, ipc.HandshakeLine+"\n", stdout.String())
	require.NoError(t, errors.Join(started.Close(), responses.Close()))
}

func makeFIFO(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	return path
}
