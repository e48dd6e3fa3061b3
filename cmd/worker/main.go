// Command worker is the stock worker: functions that anybody can try at once, in the batch tool or in a pool of one's own.
//
//	procpool funcs -worker bin/worker
//	echo '{"n":97}' | procpool map -worker bin/worker -func echo
//
// It is started by a pool; by hand it says so and lists what it offers. See package tasks for what each function does.
package main

import (
	"github.com/seed7d1be1d5/concurrent/cmd/worker/tasks"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() { worker.Main(tasks.All...) }
