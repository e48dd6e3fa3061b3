//go:build unix

package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// The functions of the worker that these tests start: this program again.
var (
	double = futures.NewFunc("trial.double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

	repeat = futures.NewFunc("trial.repeat", func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil })

	environ = futures.NewFunc("trial.environ", func(context.Context, struct{}) ([]string, error) { return os.Environ(), nil })

	say = futures.NewFunc("trial.say", func(_ context.Context, text string) (int, error) { return fmt.Print(text) })

	// obey gives in when its ctx is done, and says why.
	obey = futures.NewFunc("trial.obey", func(ctx context.Context, _ struct{}) (bool, error) {
		<-ctx.Done()
		return errors.Is(ctx.Err(), context.Canceled), context.Cause(ctx)
	})

	// block opens a FIFO, which tells that it runs, and never ends.
	block = futures.NewFunc("trial.block", func(_ context.Context, fifo string) (struct{}, error) {
		if _, err := os.OpenFile(fifo, os.O_WRONLY, 0); err != nil {
			return struct{}{}, err
		}
		select {}
	})

	panics = futures.NewFunc("trial.panic", func(_ context.Context, text string) (struct{}, error) { panic(text) })

	leaves = futures.NewFunc("trial.leave", func(context.Context, struct{}) (struct{}, error) {
		runtime.Goexit()
		panic("never")
	})

	declared = futures.Declare[int, int]("trial.declared")

	all = []futures.Callable{double, repeat, environ, say, obey, block, panics, leaves, declared}
)

const byHand = "WORKER_TEST_STARTED_BY_HAND"

func TestMain(m *testing.M) {
	if os.Getenv(byHand) != "" {
		worker.Main(all...)
	}
	worker.MainIfWorker(all...)
	os.Exit(m.Run())
}

// asWorker is the environment that makes this program a worker of a host that speaks versions.
func asWorker(versions string) []string {
	return append(os.Environ(), ipc.CookieKey+"="+ipc.CookieValue, "PLUGIN_PROTOCOL_VERSIONS="+versions, "PLUGIN_UNIX_SOCKET_DIR=/nowhere")
}

func status(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	return exit.ExitCode()
}

func TestStartedByHandItSaysWhatItIs(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), byHand+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	assert.Equal(t, 2, status(t, err))
	assert.Empty(t, stdout, "standard output is for what a program makes")
	assert.Contains(t, stderr.String(), "worker.test is a worker: a program that runs functions for another program")
	assert.Contains(t, stderr.String(), fmt.Sprintf("procpool.Command(%q)", os.Args[0]), "how to start it from Go")
	assert.Contains(t, stderr.String(), "procpool map -worker "+os.Args[0], "how to try it")
	assert.Contains(t, stderr.String(), "\ttrial.double(int) int\n\ttrial.repeat(int) string\n", "what it offers, in its own order")
	assert.NotContains(t, stderr.String(), "trial.declared", "and nothing that it cannot do")
}

func TestTwoFuncsOfOneNamePanic(t *testing.T) {
	other := futures.NewFunc("trial.double", func(context.Context, string) (string, error) { return "", nil })
	assert.PanicsWithValue(t, `worker.Main: two Funcs are named "trial.double"`, func() { worker.Main(double, other) })
}

func TestAnotherVersionIsRefused(t *testing.T) {
	for _, versions := range []string{"2,11", "", "v1"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = asWorker(versions)
		text, err := cmd.CombinedOutput()
		assert.Equal(t, 3, status(t, err), versions)
		assert.Equal(t, fmt.Sprintf("worker: the host speaks version %q of the protocol and this worker version 1: build both from the same release\n", versions), string(text))
	}
}

func TestOneOfSeveralVersionsIsEnough(t *testing.T) {
	w := start(t, "0,1,2")
	assert.Equal(t, ipc.Version, w.hello.Protocol)
}

func TestHostWithoutPipesIsToldSo(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = asWorker("1")
	text, err := cmd.CombinedOutput()
	assert.Equal(t, 3, status(t, err))
	assert.Equal(t, "worker: descriptor 3 is not a pipe: a host must pass the pipes of PROTOCOL.md\n", string(text))
}

func TestHello(t *testing.T) {
	w := start(t, "1")
	assert.Equal(t, w.cmd.Process.Pid, w.hello.PID)
	assert.Contains(t, w.hello.Build, runtime.Version())
	assert.Equal(t, []string{ipc.FeatureCancel}, w.hello.Features, "no claims without a claim table")
	var names []string
	for _, fn := range w.hello.Functions {
		names = append(names, fn.Name)
	}
	var want []string
	for _, fn := range all {
		if fn.HasBody() {
			want = append(want, fn.Name())
		}
	}
	assert.Equal(t, want, names, "what is only declared is not offered")
	assert.Equal(t, ipc.Function{Name: "trial.double", In: "int", Out: "int"}, w.hello.Functions[0])
}

func TestTheEnvironmentDoesNotTellThatItIsAWorker(t *testing.T) {
	w := start(t, "1")
	w.send(request(t, 1, environ, struct{}{}))
	var got []string
	w.result(1, &got)
	assert.ElementsMatch(t, os.Environ(), got, "that of the host, without cookie and PLUGIN_ variables")
	assert.True(t, slices.ContainsFunc(w.cmd.Env, func(kv string) bool { return strings.HasPrefix(kv, "PLUGIN_") }), "which it was given")
}

func TestStandardOutputIsTheFunctions(t *testing.T) {
	w := start(t, "1")
	w.send(request(t, 1, say, "1|1|unix|no-handshake|netrpc"))
	var n int
	w.result(1, &n)
	assert.Equal(t, 28, n)
	assert.Equal(t, ipc.HandshakeLine+"\n1|1|unix|no-handshake|netrpc", w.end())
}

func TestAResultDoesNotWaitForTheNextCall(t *testing.T) {
	w := start(t, "1")
	fifo := makeFIFO(t)
	w.send(slices.Concat(request(t, 1, double, 21), request(t, 2, block, fifo))) // in one piece
	var n int
	w.result(1, &n)
	assert.Equal(t, 42, n)
	awaitWriter(t, fifo)
}

func TestTheEndOfRequestsEndsABusyWorker(t *testing.T) {
	w := start(t, "1")
	fifo := makeFIFO(t)
	w.send(request(t, 1, block, fifo))
	awaitWriter(t, fifo)
	w.end()
	assert.Equal(t, 0, w.cmd.ProcessState.ExitCode())
}

func TestResultsComeInTheOrderOfTheRequests(t *testing.T) {
	w := start(t, "1")
	const calls = 2000
	var frames []byte
	for id := range uint64(calls) {
		size := int(id)
		if id%500 == 1 {
			size = 1 << 20 // more than a pipe holds
		}
		frames = append(frames, request(t, id+1, repeat, size)...)
	}
	go w.send(frames) // ends with the last result at the latest: the worker must have read everything
	for id := range uint64(calls) {
		var text string
		w.result(id+1, &text)
		if id%500 == 1 {
			require.Len(t, text, 1<<20)
		} else {
			require.Len(t, text, int(id))
		}
	}
}

func TestFailuresAreToldApart(t *testing.T) {
	w := start(t, "1")
	w.send(request(t, 1, futures.Declare[int, int]("trial.unheard"), 1))
	assert.Equal(t, ipc.FailedFunction, w.failure(1).Kind)

	w.send(request(t, 2, futures.Declare[string, int]("trial.double"), "two"))
	assert.Equal(t, ipc.FailedArgument, w.failure(2).Kind)

	w.send(request(t, 3, panics, "oh no"))
	failed := w.failure(3)
	assert.Equal(t, ipc.FailedPanic, failed.Kind)
	assert.Equal(t, "oh no", failed.Message)
	assert.Contains(t, failed.Stack, "main_test.go")

	w.send(request(t, 4, leaves, struct{}{}))
	failed = w.failure(4)
	assert.Equal(t, "runtime.Goexit", failed.Type)

	w.send(request(t, 5, repeat, ipc.MaxHello*4))
	assert.Equal(t, ipc.FailedResult, w.failure(5).Kind, "larger than the host takes")

	w.send(request(t, 6, double, 3))
	var n int
	w.result(6, &n)
	assert.Equal(t, 6, n, "the worker goes on after each")
}

func TestCancelReachesACallAndNobodyElse(t *testing.T) {
	for reason, want := range map[string]error{
		ipc.ReasonTimeout:   futures.ErrTimeout,
		ipc.ReasonDeadline:  context.DeadlineExceeded,
		ipc.ReasonCancelled: context.Canceled,
	} {
		t.Run(reason, func(t *testing.T) {
			w := start(t, "1")
			cancel := func(id uint64) []byte {
				return ipc.AppendNotification(nil, ipc.Cancel, ipc.CancelParam{ID: id, Reason: reason})
			}
			// Whether it runs already or waits; and one of a call that is not there is ignored, like a notification of another name.
			w.send(slices.Concat(cancel(7), ipc.AppendNotification(nil, "grease", nil), request(t, 1, obey, struct{}{}), cancel(1)))
			assert.Equal(t, want.Error(), w.failure(1).Message)
			w.send(slices.Concat(cancel(1), request(t, 2, double, 4)))
			var n int
			w.result(2, &n)
			assert.Equal(t, 8, n)
		})
	}
}

func TestTimeoutAndDeadlineBoundTheFunction(t *testing.T) {
	w := start(t, "1")
	w.send(ipc.AppendRequest(nil, 1, obey.Name(), ipc.Meta{Timeout: 1}, encoded(t, struct{}{})))
	assert.Equal(t, futures.ErrTimeout.Error(), w.failure(1).Message)
	w.send(ipc.AppendRequest(nil, 2, obey.Name(), ipc.Meta{Deadline: 1}, encoded(t, struct{}{})))
	assert.Equal(t, context.DeadlineExceeded.Error(), w.failure(2).Message)
}

func TestGarbageEndsTheWorkerWithAReason(t *testing.T) {
	w := start(t, "1")
	w.send([]byte("GET / HTTP/1.1\r\n\r\n"))
	w.end()
	assert.Equal(t, 3, w.cmd.ProcessState.ExitCode())
	assert.Contains(t, w.stderr.String(), "worker: read a frame: ")
	assert.Contains(t, w.stderr.String(), "GET / HT", "what came instead")
}

func makeFIFO(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/fifo"
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	return path
}

// awaitWriter returns when somebody has opened the FIFO to write.
func awaitWriter(t *testing.T, fifo string) {
	t.Helper()
	f, err := os.Open(fifo)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
