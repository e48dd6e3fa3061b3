// Package threadpool runs calls on goroutines of this process: Python's ThreadPoolExecutor.
//
// Goroutines are cheap, so its use is not to save them. It bounds how many calls run at once, initialises each worker, and
// behaves like the other executors, which makes it the one to develop and test against. It cannot kill a call, survive a
// crash or confine anything: that is what package procpool is for.
//
//	Submit ──▶ queue (first in, first out) ──▶ worker goroutine ──▶ Future
//
// One mutex guards the queue and the count of workers. Workers start on demand, only when none is idle, and end in
// Shutdown, which waits for them.
package threadpool
