package meter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// A guest is an instance of a module, and how often it ticked.
type guest struct {
	api.Module
	runtime wazero.Runtime
	ticks   uint64
	onTick  func(*guest)
}

// start instantiates a module beside the host function, WASI, and a function that adds one.
func start(tb testing.TB, wasm []byte, onTick func(*guest)) (*guest, error) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithMemoryLimitPages(1<<12))
	tb.Cleanup(func() { require.NoError(tb, r.Close(ctx)) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	g := &guest{runtime: r, onTick: onTick}
	_, err := r.NewHostModuleBuilder(ImportModule).NewFunctionBuilder().WithGoFunction(api.GoFunc(func(context.Context, []uint64) {
		g.ticks++
		if g.onTick != nil {
			g.onTick(g)
		}
	}), nil, nil).Export(ImportName).Instantiate(ctx)
	require.NoError(tb, err)
	_, err = r.NewHostModuleBuilder("host").NewFunctionBuilder().WithFunc(func(x uint32) uint32 { return x + 1 }).Export("next").Instantiate(ctx)
	require.NoError(tb, err)
	g.Module, err = r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize").WithStderr(os.Stderr))
	return g, err
}

// call runs the exported function f.
func (g *guest) call(args ...uint64) ([]uint64, error) {
	return g.ExportedFunction("f").Call(context.Background(), args...)
}

var errStopped = errors.New("the host has had enough")

// stopAfter makes a guest end by a panic, as a host does.
func stopAfter(ticks uint64) func(*guest) {
	return func(g *guest) {
		if g.ticks == ticks {
			panic(errStopped)
		}
	}
}

// The jobs of testdata/guest, by their numbers.
var jobs = []string{"is_prime", "sort", "fib", "sha256", "nbody", "words"}

// goGuest is testdata/guest, built once per test run. It does not import the host function.
var goGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

// work runs a job of the Go guest and returns its result.
func (g *guest) work(tb testing.TB, job int) string {
	res, err := g.ExportedFunction("work").Call(context.Background(), uint64(job))
	require.NoError(tb, err)
	b, ok := g.Memory().Read(uint32(res[0]>>32), uint32(res[0]))
	require.True(tb, ok)
	return string(b)
}

func TestAGoGuestComputesTheSame(t *testing.T) {
	wasm, err := goGuest()
	require.NoError(t, err)
	plain, err := start(t, wasm, nil)
	require.NoError(t, err)
	for every, some := range map[uint32][]int{1: {2, 5}, DefaultEvery: {0, 1, 2, 3, 4, 5}} {
		metered, err := Rewrite(wasm, Options{Every: every})
		require.NoError(t, err)
		g, err := start(t, metered, nil)
		require.NoError(t, err)
		for _, job := range some {
			before := g.ticks
			require.Equal(t, plain.work(t, job), g.work(t, job), jobs[job])
			require.Greater(t, g.ticks, before+10, jobs[job])
		}
	}
}
