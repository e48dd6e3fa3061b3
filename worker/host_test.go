//go:build unix

package worker_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A peer is a worker as its host sees it, one frame at a time.
type peer struct {
	t              *testing.T
	cmd            *exec.Cmd
	requests       *os.File
	responses      *os.File
	frames         *ipc.Reader
	stdout, stderr bytes.Buffer
	hello          ipc.HelloParam
}

// start starts this program as a worker and welcomes it. It is killed with the test, if it has not ended by then.
func start(t *testing.T, versions string) *peer {
	t.Helper()
	theirRequests, requests, err := os.Pipe()
	require.NoError(t, err)
	responses, theirResponses, err := os.Pipe()
	require.NoError(t, err)
	w := &peer{t: t, cmd: exec.Command(os.Args[0]), requests: requests, responses: responses, frames: ipc.NewReader(responses, ipc.MaxBody)}
	w.cmd.Env = asWorker(versions)
	w.cmd.ExtraFiles = []*os.File{theirRequests, theirResponses}
	w.cmd.Stdout, w.cmd.Stderr = &w.stdout, &w.stderr
	require.NoError(t, w.cmd.Start())
	require.NoError(t, errors.Join(theirRequests.Close(), theirResponses.Close()))
	t.Cleanup(func() {
		if w.cmd.ProcessState == nil {
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait() // it was killed
		}
		_ = requests.Close() // closed already if the test has ended the worker
		_ = responses.Close()
	})
	m := w.next()
	require.Equal(t, ipc.KindNotification, m.Kind)
	require.Equal(t, ipc.Hello, string(m.Name))
	require.NoError(t, ipc.DecodeParam(m.Value, &w.hello))
	w.send(ipc.AppendNotification(nil, ipc.Welcome, ipc.WelcomeParam{Protocol: ipc.Version, Features: []string{ipc.FeatureCancel}, MaxBody: 2 * ipc.MaxHello}))
	return w
}

// send may be called by another goroutine than the test's.
func (w *peer) send(frames []byte) {
	if _, err := w.requests.Write(frames); err != nil {
		w.t.Errorf("write requests: %v", err)
	}
}

func (w *peer) next() ipc.Message {
	w.t.Helper()
	body, err := w.frames.Next()
	require.NoError(w.t, err)
	m, err := ipc.ParseMessage(body)
	require.NoError(w.t, err)
	return m
}

// response is the next one, which must be that of call id.
func (w *peer) response(id uint64) ipc.Message {
	w.t.Helper()
	m := w.next()
	require.Equal(w.t, ipc.KindResponse, m.Kind)
	require.Equal(w.t, id, m.ID)
	return m
}

func (w *peer) result(id uint64, into any) {
	w.t.Helper()
	m := w.response(id)
	require.Empty(w.t, m.Failure)
	require.NoError(w.t, ipc.DecodeValue(m.Value, into))
}

func (w *peer) failure(id uint64) (f ipc.Failure) {
	w.t.Helper()
	m := w.response(id)
	require.NotEmpty(w.t, m.Failure)
	require.NoError(w.t, ipc.DecodeParam(m.Failure, &f))
	return f
}

// end lets the worker go, and returns what it has printed.
func (w *peer) end() string {
	w.t.Helper()
	require.NoError(w.t, w.requests.Close())
	_ = w.cmd.Wait() // the test looks at the state itself
	return w.stdout.String()
}

func request[In, Out any](t *testing.T, id uint64, fn futures.Func[In, Out], in In) []byte {
	t.Helper()
	return ipc.AppendRequest(nil, id, fn.Name(), ipc.Meta{}, encoded(t, in))
}

func encoded[In any](t *testing.T, in In) []byte {
	t.Helper()
	arg, err := ipc.AppendValue(nil, &in)
	require.NoError(t, err)
	return arg
}
