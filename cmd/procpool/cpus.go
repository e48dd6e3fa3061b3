package main

import "runtime"

// availableCPUs is what procpool.Config.MaxWorkers means by zero.
func availableCPUs() int { return runtime.GOMAXPROCS(0) }
