// Command worker is the worker of the soak.
package main

import (
	"github.com/seed7d1be1d5/concurrent/integration/soak/task"
	"github.com/seed7d1be1d5/concurrent/pooltest"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() {
	pooltest.Tap()
	worker.Main(task.Run)
}
