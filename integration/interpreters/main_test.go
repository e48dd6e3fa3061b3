package interpreters_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// image is the guest of package guest. It is built and loaded once.
var image *interpreters.Image

// wasm is the module it was loaded from.
var wasm []byte

// cacheDir is the folder for compiled code that the tests share, also with the next run.
var cacheDir string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	userCache, err := os.UserCacheDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cacheDir = filepath.Join(userCache, "concurrent-tests")
	if os.Getenv(endsAs) != "" {
		return endAsProgram()
	}
	temp, err := os.MkdirTemp("", "interpreters-integration")
	if err == nil {
		defer os.RemoveAll(temp)
		wasm, err = build(temp, "./guest")
	}
	if err == nil {
		image, err = interpreters.Load(context.Background(), wasm, interpreters.ImageConfig{CacheDir: cacheDir})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer image.Close()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines left behind:", err)
		return 1
	}
	return code
}

// build builds a main package as its users would.
func build(dir, pkg string, flags ...string) ([]byte, error) {
	out := filepath.Join(dir, filepath.Base(pkg)+".wasm")
	args := append([]string{"build", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return os.ReadFile(out)
}

// patience bounds every wait of a test. It is for tests that fail: those that pass do not come near it.
const patience = 30 * time.Second

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// scriptedOnce is the guest of package scripted, for the tests that need a script engine.
var scriptedOnce = sync.OnceValues(func() (*interpreters.Image, error) {
	dir, err := os.MkdirTemp("", "interpreters-scripted")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	wasm, err := build(dir, "./scripted")
	if err != nil {
		return nil, err
	}
	return interpreters.Load(context.Background(), wasm, interpreters.ImageConfig{CacheDir: cacheDir})
})

func scripted(t testing.TB) *interpreters.Image {
	t.Helper()
	img, err := scriptedOnce()
	require.NoError(t, err)
	return img
}

// create makes an interpreter that is closed with the test, if it has not ended by then.
func create(t testing.TB, config interpreters.Config) *interpreters.Interpreter {
	t.Helper()
	return createWith(t, image, config)
}

func createWith(t testing.TB, img *interpreters.Image, config interpreters.Config) *interpreters.Interpreter {
	t.Helper()
	ip, err := interpreters.Create(within(t), img, config)
	require.NoError(t, err)
	t.Cleanup(func() {
		if _, err := interpreters.Lookup(ip.ID()); err == nil {
			assert.NoError(t, ip.Close())
		}
	})
	return ip
}
