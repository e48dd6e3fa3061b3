// Package procpool runs calls in worker processes: Python's ProcessPoolExecutor, for Go.
//
//	pool, err := procpool.New(procpool.Config{Worker: procpool.Command("./primes-worker")})
//	defer pool.Close()
//	f := futures.Submit(ctx, pool, tasks.IsPrime, 112272535095293)
//
// A worker is a program that calls worker.Main, or this program itself ([Self]). It gives what goroutines cannot: a crash,
// a stack overflow or a leak costs one worker and not the program, and a call that does not end can be killed.
//
//	Submit ─▶ encode ─▶ ┌ state: queue, workers ┐ ─▶ link.write ─ fd 3 ────────▶ worker
//	                    │ told events, leaves   │     claims, large arguments      │
//	Future ◀─ decode ◀─ └ actions               ┘ ◀─ link.read ◀─ ring, or fd 4 ───┘
//
// # Parts
//
// state decides: it is a pure machine, under the pool's mutex, which is held for no system call and no code of users. A
// link is one worker's process with the goroutines that talk to it; it carries out what the state decides and tells it
// what happens. A worker has a pair of pipes of its own, so the end of a pipe is the end of that worker and of nobody
// else. What is shared beside them is one worker's as well: a table of claims, a ring of responses, and an arena for large
// values. The queue is here in the host. A worker that takes part in claims is sent short calls ahead, each of which the
// host can take back until the worker has claimed it: so cancelling, blaming and handing over stay exact.
//
// # Goroutines
//
// Each link has six: live, which starts the process and sees it off; one that reads its results; write; two that drain its
// output; and one that waits for the process. A call that is alone with its worker is written by the goroutine that submits
// it, and read by the one that waits for it, so that it costs no change of goroutines (lead.go). go-plugin has some of its own for each process. All end with the process, and
// [ProcessPoolExecutor.Close] returns after those of the links, except that it does not wait for more than a second for a
// Config.Stderr or Config.Logger that blocks.
//
// # Errors
//
// The error of a call says whose it is. Ask in this order:
//
//	var task *futures.TaskError
//	var crash *procpool.WorkerCrashError
//	switch {
//	case errors.As(err, &task):                         // the function failed or panicked, or gave in to its ctx
//	case errors.Is(err, futures.ErrCancelled):          // it never started, and never will
//	case errors.Is(err, futures.ErrShutdown):           // it was submitted too late
//	case errors.Is(err, futures.ErrTimeout):            // it was killed with its worker, for it did not give in
//	case errors.Is(err, futures.ErrBrokenExecutor):     // the pool is broken, by this call or by another
//	case errors.As(err, &crash):                        // this call was lost with its worker; the pool goes on
//	}
//
// # What it does not do
//
// It does not run on Windows: New says so with an error that matches [errors.ErrUnsupported]. A pool that is forgotten
// without Close keeps its workers until this program ends, by whatever means.
package procpool
