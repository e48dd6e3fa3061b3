package meter_test

import (
	"context"
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

	"github.com/seed7d1be1d5/concurrent/interpreters/internal/meter"
)

var jobs = []string{"is_prime", "sort", "fib", "sha256", "nbody", "words"}

// goGuest is testdata/guest, built once per test run.
var goGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

// A running instance of a module, and how often it ticked.
type running struct {
	api.Module
	ticks  int
	onTick func()
}

// run instantiates a module with the host function and WASI beside it.
func run(tb testing.TB, wasm []byte) (*running, error) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithMemoryLimitPages(1<<12))
	tb.Cleanup(func() { r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	g := &running{}
	_, err := r.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().WithGoFunction(api.GoFunc(func(context.Context, []uint64) {
		g.ticks++
		if g.onTick != nil {
			g.onTick()
		}
	}), nil, nil).Export(meter.ImportName).Instantiate(ctx)
	require.NoError(tb, err)
	g.Module, err = r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize").WithStderr(os.Stderr))
	return g, err
}

func (g *running) work(tb testing.TB, job int) string {
	res, err := g.ExportedFunction("work").Call(context.Background(), uint64(job))
	require.NoError(tb, err)
	b, ok := g.Memory().Read(uint32(res[0]>>32), uint32(res[0]))
	require.True(tb, ok)
	return string(b)
}

func TestAGoGuestComputesTheSame(t *testing.T) {
	wasm, err := goGuest()
	require.NoError(t, err)
	plain, err := run(t, wasm)
	require.NoError(t, err)
	for _, every := range []uint32{1, 0} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			metered, err := meter.Rewrite(wasm, meter.Options{Every: every})
			require.NoError(t, err)
			g, err := run(t, metered)
			require.NoError(t, err)
			for i, job := range jobs {
				if every == 1 && i != 2 && i != 5 {
					continue // a tick per iteration: two jobs are enough
				}
				require.Equal(t, plain.work(t, i), g.work(t, i), job)
			}
			require.NotZero(t, g.ticks)
		})
	}
}
