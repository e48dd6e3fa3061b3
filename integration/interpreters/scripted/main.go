// Command scripted is the guest with a script engine, and differs in nothing else.
package main

import (
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/worker"
	_ "github.com/seed7d1be1d5/concurrent/worker/starlark" // for Exec
)

func main() { worker.Main(tasks.All...) }
