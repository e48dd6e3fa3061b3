//go:build wasip1

// These tests are their own guest: built for an interpreter, the program serves its tasks and has no tests.
package conformance_test

import (
	"context"
	"testing"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func TestMain(*testing.M) { worker.Main(tasks...) }

var standFor = futures.Declare[standing, fate]("stand")

// stand has the host stand at the door.
func stand(ctx context.Context, addr, name string, pid int) (fate, error) {
	return worker.CallHost(ctx, standFor, standing{addr, name, pid})
}
