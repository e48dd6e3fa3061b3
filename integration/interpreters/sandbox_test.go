package interpreters_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

func TestNothingIsGrantedByDefault(t *testing.T) {
	t.Setenv("SECRET", "x")
	ip := create(t, interpreters.Config{})
	s, err := interpreters.Call(within(t), ip, tasks.Look, struct{}{})
	require.NoError(t, err)
	assert.Empty(t, s.Env)
	assert.Empty(t, s.Files)
	assert.NotEmpty(t, s.FilesErr)

	file := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(file, []byte("secret"), 0o600))
	for _, name := range []string{file, "/etc/passwd", "../../../../etc/passwd", "/dev/stdin", "."} {
		_, err = interpreters.Call(within(t), ip, tasks.ReadFile, name)
		assert.Error(t, err, name)
		_, err = interpreters.Call(within(t), ip, tasks.WriteFile, name)
		assert.Error(t, err, name)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = interpreters.Call(within(t), ip, tasks.Dial, l.Addr().String())
	assert.Error(t, err)
	in, err := interpreters.Call(within(t), ip, tasks.ReadStdin, struct{}{})
	require.NoError(t, err)
	assert.Empty(t, in)
	_, err = interpreters.Call(within(t), ip, tasks.Spawn, "/bin/true") // TestInterpreterExec.test_fork (N25)
	assert.Error(t, err)
	_, err = interpreters.Call(within(t), ip, tasks.AskHost, "x")
	assert.ErrorIs(t, err, futures.ErrNoBody)
}

func TestTimeAndRandomnessAreReal(t *testing.T) {
	a, b := create(t, interpreters.Config{}), create(t, interpreters.Config{})
	seen := map[string]bool{}
	for _, ip := range []*interpreters.Interpreter{a, b, a, b} {
		s, err := interpreters.Call(within(t), ip, tasks.Look, struct{}{})
		require.NoError(t, err)
		seen[string(s.Random)] = true
	}
	assert.Len(t, seen, 4)
	before := time.Now()
	now, err := interpreters.Call(within(t), a, tasks.Now, struct{}{})
	require.NoError(t, err)
	assert.WithinRange(t, now, before.Add(-time.Millisecond), time.Now().Add(time.Millisecond))
}

func TestConfigGrants(t *testing.T) {
	sentinel := errors.New("the host refuses")
	var current *interpreters.Interpreter
	var ip *interpreters.Interpreter
	granted := futures.NewFunc("tasks.Granted", func(ctx context.Context, text string) (string, error) {
		current = interpreters.GetCurrent(ctx)
		switch text {
		case "fail":
			return "", sentinel
		case "panic":
			panic("in the host")
		case "again": // from within itself
			_, err := interpreters.Call(ctx, ip, tasks.Add, tasks.Pair{})
			return "", err
		}
		return strings.ToUpper(text), nil
	})
	ip = create(t, interpreters.Config{
		Env: []string{"A=b", "C=d=e"}, Stdin: strings.NewReader("input"), HostFuncs: []futures.Callable{granted},
		FS: fstest.MapFS{"dir/file": {Data: []byte("text")}},
	})
	s, err := interpreters.Call(within(t), ip, tasks.Look, struct{}{})
	require.NoError(t, err)
	assert.Equal(t, []string{"A=b", "C=d=e"}, s.Env)
	assert.Equal(t, []string{"dir"}, s.Files)

	text, err := interpreters.Call(within(t), ip, tasks.ReadFile, "/dir/file")
	require.NoError(t, err)
	assert.Equal(t, "text", text)
	_, err = interpreters.Call(within(t), ip, tasks.WriteFile, "/dir/file")
	assert.Error(t, err, "it is there to read")
	text, err = interpreters.Call(within(t), ip, tasks.ReadStdin, struct{}{})
	require.NoError(t, err)
	assert.Equal(t, "input", text)

	text, err = interpreters.Call(within(t), ip, tasks.AskHost, "loud")
	require.NoError(t, err)
	assert.Equal(t, "LOUD", text)
	assert.Same(t, ip, current, "row N3")
	_, err = interpreters.Call(within(t), ip, tasks.AskHost, "fail")
	assert.ErrorContains(t, err, "the host refuses")
	_, err = interpreters.Call(within(t), ip, tasks.AskHost, "panic")
	assert.ErrorContains(t, err, "in the host")
	_, err = interpreters.Call(within(t), ip, tasks.AskHost, "again")
	assert.ErrorContains(t, err, "already running")
	assert.False(t, ip.IsRunning())
}

// There is one place for what the host leaves to be taken, and who makes room for it starts the collector, and waits for it, when others run.
func TestGoroutinesOfAGuestGetTheirOwnAnswers(t *testing.T) {
	long := futures.NewFunc("tasks.Granted", func(_ context.Context, text string) (string, error) { return strings.Repeat(text, 100_000), nil })
	for range 3 {
		ip := create(t, interpreters.Config{HostFuncs: []futures.Callable{long}})
		wrong, err := interpreters.Call(within(t), ip, tasks.AskMuch, 100)
		require.NoError(t, err)
		assert.Zero(t, wrong)
	}
}

// A granted folder can be read and not written, and what is beside it is out of reach. os.DirFS follows links that lead out, an os.Root does not.
func TestAGrantedFolderIsNoWayOut(t *testing.T) {
	top := t.TempDir()
	dir, secret := filepath.Join(top, "dir"), filepath.Join(top, "secret")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "open"), []byte("open"), 0o600))
	require.NoError(t, os.Symlink(secret, filepath.Join(dir, "link")))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	for _, grant := range []struct {
		fs    fs.FS
		links bool
	}{{os.DirFS(dir), true}, {root.FS(), false}} {
		ip := create(t, interpreters.Config{FS: grant.fs})
		read := func(name string) (string, error) { return interpreters.Call(within(t), ip, tasks.ReadFile, name) }
		text, err := read("/open")
		require.NoError(t, err)
		assert.Equal(t, "open", text)
		for _, name := range []string{"/../secret", "../secret", secret, "/dir/../../secret"} {
			_, err = read(name)
			assert.Error(t, err, name)
		}
		_, err = read("/link")
		assert.Equal(t, grant.links, err == nil, "%v", err)
		for _, name := range []string{"/open", "/new", "/link", "/../secret"} {
			_, err = interpreters.Call(within(t), ip, tasks.WriteFile, name)
			assert.Error(t, err, name)
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2)
	for name, want := range map[string]string{secret: "secret", filepath.Join(dir, "open"): "open"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
}

func TestAKilledGuestCancelsTheHostsFunction(t *testing.T) {
	sentinel := errors.New("enough")
	began := make(chan struct{})
	granted := futures.NewFunc("tasks.Granted", func(ctx context.Context, _ string) (string, error) {
		close(began)
		<-ctx.Done()
		return "", context.Cause(ctx)
	})
	ip := create(t, interpreters.Config{HostFuncs: []futures.Callable{granted}})
	over := make(chan error)
	go func() {
		_, err := interpreters.Call(context.Background(), ip, tasks.AskHost, "")
		over <- err
	}()
	<-began
	ip.Kill(sentinel)
	err := <-over
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.ErrorIs(t, err, sentinel)
}

// A panicking reader.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("in the reader") }

func TestAReaderThatPanicsCostsTheInterpreter(t *testing.T) {
	ip := create(t, interpreters.Config{Stdin: panicking{}})
	_, err := interpreters.Call(within(t), ip, tasks.ReadStdin, struct{}{})
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.ErrorContains(t, err, "in the reader")
}

func TestAReaderThatBlocksDoesNotKeepAKilledGuest(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ip := create(t, interpreters.Config{Stdin: r, Grace: -1})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := interpreters.Call(ctx, ip, tasks.ReadStdin, struct{}{})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}
