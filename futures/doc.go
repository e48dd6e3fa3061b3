// Package futures gives a function and its argument away and holds the result that will come back.
//
// It is Python's concurrent.futures for Go. Start with [Submit]:
//
//	var IsPrime = futures.NewFunc("tasks.IsPrime", func(ctx context.Context, n uint64) (bool, error) { ... })
//
//	f := futures.Submit(ctx, executor, IsPrime, 112272535095293) // *futures.Future[bool], at once
//	prime, err := f.Result(ctx)
//
// The same [Func] runs on every [Executor]: goroutines (package threadpool), operating system processes
// (package procpool), and whatever else implements the interface.
//
//	Submit ── Call ──▶ Executor ── runs it somewhere ──▶ Call.Resolve / Call.Reject
//	   │                                                        │
//	   └── *Future ◀──────────── settled exactly once ◀─────────┘
//	          │
//	          ├── Result, Err, Done        one future
//	          ├── Wait, AsCompleted        many futures
//	          └── OnDone                   a callback
//
// # Goroutines
//
// The package starts a goroutine in one case only: when an executor settles a future that has callbacks, or the ctx given to [Submit] is
// done, the callbacks run one after the other on a goroutine of their own, so that a slow callback delays nobody's result.
// Settling through [Promise] or [Future.Cancel] runs them in the caller, as Python does.
//
// # What it does not do
//
// Nothing is finished behind your back when main returns: shut executors down. A task that waits for another task
// of the same saturated executor waits for ever, as in Python; give the waiting ctx a deadline.
package futures
