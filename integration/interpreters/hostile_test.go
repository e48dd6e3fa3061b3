package interpreters_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

func hostile(t *testing.T) *interpreters.Image {
	t.Helper()
	module, err := build(t.TempDir(), "./hostile")
	require.NoError(t, err)
	img, err := interpreters.Load(within(t), module, interpreters.ImageConfig{CacheDir: cacheDir})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, img.Close()) })
	return img
}

func TestAHostileGuestHarmsNobody(t *testing.T) {
	img := hostile(t)
	q, _ := queue(t, 0)
	witness := create(t, interpreters.Config{})
	for name, dies := range map[string]bool{
		"answer outside": true, "answer empty": true, "serve outside": true, "serve nothing": true, "take outside": true, "limits outside": true,
		"host call outside": true, "queue outside": true,
		"answer of no kind": false, "answer cut": false, "answer deep": false, "failure cut": false, "failure of no kind": false,
		"made-up queue": false, "take nothing": false, "host call of nothing": false, "queues": false, "polls": false,
	} {
		t.Run(name, func(t *testing.T) {
			ip := createWith(t, img, interpreters.Config{MemoryLimit: 64 << 20})
			result, err := interpreters.Call(within(t), ip, futures.Declare[any, any](name), nil)
			var died *interpreters.Died
			require.Equal(t, dies, errors.As(err, &died), "%v", err)
			if dies {
				assert.Equal(t, interpreters.Trap, died.Reason)
			} else if err == nil {
				assert.Nil(t, result)
			}
			if !dies {
				_, err = interpreters.Call(within(t), ip, futures.Declare[any, any]("take nothing"), nil)
				assert.NoError(t, err, "it goes on")
			}
			sum, err := interpreters.Call(within(t), witness, tasks.Add, tasks.Pair{A: 1, B: 2})
			require.NoError(t, err)
			assert.Equal(t, 3, sum)
		})
	}
	assert.True(t, q.Empty())
}

// What a guest has open can be descriptors of this program, and wazero's table of them has a place for every number below the highest.
func TestTheFilesOfAGuestAreBounded(t *testing.T) {
	ip := createWith(t, hostile(t), interpreters.Config{FS: fstest.MapFS{"file": {Data: []byte("x")}}})
	opened, err := interpreters.Call(within(t), ip, futures.Declare[any, []int]("files"), nil)
	require.NoError(t, err)
	assert.Equal(t, []int{256, 1}, opened)

	ip = createWith(t, hostile(t), interpreters.Config{FS: fstest.MapFS{"file": {Data: []byte("x")}}})
	moved, err := interpreters.Call(within(t), ip, futures.Declare[any, []int]("high descriptors"), nil)
	require.NoError(t, err)
	assert.Equal(t, []int{20}, moved)
}

// A call of the host counts once, whatever it is told to do.
func TestWhatTheHostDoesForAGuestIsPaidFor(t *testing.T) {
	img := hostile(t)
	for _, breach := range []string{"much randomness", "many buffers", "host calls of much"} {
		t.Run(breach, func(t *testing.T) {
			ip := createWith(t, img, interpreters.Config{Fuel: 1000})
			_, err := interpreters.Call(within(t), ip, futures.Declare[any, any](breach), nil)
			assert.ErrorIs(t, err, interpreters.ErrOutOfFuel)
		})
	}
}

func TestAnOutputThatIsAFileIsOnlyWrittenTo(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("of the host")
	require.NoError(t, err)
	ip := createWith(t, hostile(t), interpreters.Config{Stdout: f})
	could, err := interpreters.Call(within(t), ip, futures.Declare[any, []string]("more of the output"), nil)
	require.NoError(t, err)
	assert.Empty(t, could)
	text, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	assert.Equal(t, "of the host", string(text))
}

// A goroutine that makes room for what was left may have to wait, and the call be over meanwhile.
func TestWhatWasLeftInOneCallIsTakenInAnother(t *testing.T) {
	ask := futures.NewFunc("ask", func(context.Context, any) (string, error) { return "text", nil })
	ip := createWith(t, hostile(t), interpreters.Config{HostFuncs: []futures.Callable{ask}})
	_, err := interpreters.Call(within(t), ip, futures.Declare[any, any]("ask"), nil)
	require.NoError(t, err)
	text, err := interpreters.Call(within(t), ip, futures.Declare[any, string]("take"), nil)
	require.NoError(t, err)
	assert.Equal(t, "text", text)
}

// A guest may call functions of the host before it serves, and these may do to its interpreter what they like.
func TestAGuestCanBeKilledAsItBegins(t *testing.T) {
	img := hostile(t)
	sentinel := errors.New("not this one")
	before := interpreters.ListAll()
	for name, do := range map[string]func(context.Context, *interpreters.Interpreter) error{
		"kill":  func(_ context.Context, ip *interpreters.Interpreter) error { ip.Kill(sentinel); return nil },
		"close": func(_ context.Context, ip *interpreters.Interpreter) error { return ip.Close() },
		"call": func(ctx context.Context, ip *interpreters.Interpreter) error {
			_, err := interpreters.Call(ctx, ip, futures.Declare[any, any]("polls"), nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			var current *interpreters.Interpreter
			var err error
			ask := futures.NewFunc("ask", func(ctx context.Context, _ any) (any, error) {
				current = interpreters.GetCurrent(ctx)
				assert.True(t, current.IsRunning())
				err = do(ctx, current)
				return nil, nil
			})
			config := interpreters.Config{Env: []string{"HELLO=ask"}, HostFuncs: []futures.Callable{ask}}
			ip, failed := interpreters.Create(within(t), img, config)
			if name == "kill" {
				require.ErrorIs(t, failed, sentinel)
				assert.False(t, current.IsRunning())
				assert.ErrorIs(t, current.Close(), interpreters.ErrNotFound)
				assert.ErrorIs(t, interpreters.ExecModule(within(t), img, config), sentinel)
				return
			}
			require.NoError(t, failed)
			assert.ErrorIs(t, err, interpreters.ErrRunning)
			assert.Same(t, ip, current)
			assert.NoError(t, ip.Close())
		})
	}
	assert.Equal(t, before, interpreters.ListAll())
}

// What a guest says is decoded into what takes many times as much.
func TestWhatAGuestSaysCostsTheHostLittle(t *testing.T) {
	img := hostile(t)
	ip := createWith(t, img, interpreters.Config{})
	allocated := func(f func()) int {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return int(after.TotalAlloc - before.TotalAlloc)
	}
	assert.Less(t, allocated(func() {
		_, err := interpreters.Call(within(t), ip, futures.Declare[any, any]("failure long"), nil)
		assert.ErrorContains(t, err, "the guest's failure")
	}), 200<<20, "most of it is the guest's memory")
	assert.Less(t, allocated(func() {
		_, err := interpreters.Create(within(t), img, interpreters.Config{Env: []string{"HELLO=long"}})
		assert.ErrorIs(t, err, interpreters.ErrImage)
	}), 200<<20)
}

func TestAGuestWithAWrongBufferDies(t *testing.T) {
	ip := createWith(t, hostile(t), interpreters.Config{Env: []string{"BUFFER=outside"}})
	_, err := interpreters.Call(within(t), ip, futures.Declare[any, any]("polls"), any("argument"))
	var died *interpreters.Died
	assert.ErrorAs(t, err, &died)
}

func TestAGuestThatDoesNotComeToServeIsNotCreated(t *testing.T) {
	img := hostile(t)
	before := interpreters.ListAll()
	for hello, reason := range map[string]interpreters.Reason{
		"garbage": 0, "version": 0, "return": 0, "outside": interpreters.Trap, "exit": interpreters.Exit, "panic": interpreters.Panic,
		"spin": interpreters.Interrupted, "block": interpreters.Deadlock,
	} {
		ctx := within(t)
		if hello == "spin" {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
		}
		_, err := interpreters.Create(ctx, img, interpreters.Config{Env: []string{"HELLO=" + hello}})
		if reason == 0 {
			assert.ErrorIs(t, err, interpreters.ErrImage, hello)
			continue
		}
		var died *interpreters.Died
		if assert.ErrorAs(t, err, &died, hello) {
			assert.Equal(t, reason, died.Reason, hello)
		}
	}
	assert.Equal(t, before, interpreters.ListAll())
}
