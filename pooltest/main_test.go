//go:build unix

package pooltest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/pooltest"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// double is a user's function, wrapped so that a plan can strike it.
var double = futures.NewFunc("example.Double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

// fails is one that does not do well.
var fails = futures.NewFunc("example.Fails", func(_ context.Context, n int) (int, error) { return n, fmt.Errorf("%d is no good", n) })

func TestMain(m *testing.M) {
	pooltest.Tap()
	worker.MainIfWorker(append(pooltest.Funcs(), pooltest.Wrap(double), pooltest.Wrap(fails))...)
	os.Exit(run(m))
}

// run has a folder of its own for temporary entries: other packages' tests count those of the common one.
func run(m *testing.M) int {
	temp, err := os.MkdirTemp("", "pooltest-")
	if err == nil {
		err = os.Setenv("TMPDIR", temp)
	}
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // it is temporary
	return m.Run()
}
