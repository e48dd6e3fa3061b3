// Command guest is what runs in the interpreters: a worker as any other, built for WebAssembly.
package main

import (
	"github.com/seed7d1be1d5/concurrent/examples/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() { worker.Main(tasks.All...) }
