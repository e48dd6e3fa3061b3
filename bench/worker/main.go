// Command worker is the worker of the benchmarks.
package main

import (
	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() {
	worker.Main(tasks.Noop, tasks.Echo, tasks.Spin, tasks.Sleep, tasks.Began, tasks.Mallocs,
		tasks.Add, tasks.IsPrime, tasks.SortInts, tasks.Endless, tasks.Relay)
}
