// Package procpool tests the process pool from outside, over real worker processes, real signals and real pipes.
//
// The test program is its own worker: what can run in a worker is in workers_test.go. After every test nothing of it may be
// left, no process, no descriptor, no goroutine and no temporary entry: see hygiene_test.go.
package procpool
