// Command worker is the worker of the fault grid and of the soak: it does nothing but what faults make it do.
package main

import (
	"github.com/seed7d1be1d5/concurrent/pooltest"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() {
	pooltest.Tap()
	worker.Main(pooltest.Funcs()...)
}
