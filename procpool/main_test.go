package procpool_test

import (
	"os"
	"testing"

	"github.com/seed7d1be1d5/concurrent/worker"
)

// The tests are their own workers, like any program that uses procpool.Self.
func TestMain(m *testing.M) {
	worker.MainIfWorker(isPrime, find, crash, hang, load, translate, count, environ, whereabouts, environment)
	os.Exit(m.Run())
}
