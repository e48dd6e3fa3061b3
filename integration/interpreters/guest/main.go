// Command guest is what the tests run in interpreters: a worker as users write them.
package main

import (
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() { worker.Main(tasks.All...) }
