// Package interpreters runs isolated interpreters in this process, and queues between them: Python's concurrent.interpreters. Begin with
//
//	image, err := interpreters.Load(ctx, wasm, interpreters.ImageConfig{})
//	ip, err := interpreters.Create(ctx, image, interpreters.Config{MemoryLimit: 64 << 20})
//	defer ip.Close()
//	sum, err := interpreters.Call(ctx, ip, tasks.Add, tasks.Pair{A: 40, B: 2})
//
// where wasm is what GOOS=wasip1 GOARCH=wasm go build makes of a worker's main package, func main() { worker.Main(tasks.Add) }: the one that runs in
// a process pool as well.
//
// # What an interpreter is
//
//	this program                           │ the guest: its memory, its goroutines
//	                                       │
//	Call ── argument, msgpack ─────────────┼──▶ Func ──┐
//	  ▲                                    │           │ waits: poll
//	  └──── result, msgpack ───────────────┼───────────┘
//	Queue, ctx ── events ──────────────────┼──▶ Queue.Get, ctx.Done
//
// The guest is WebAssembly, compiled to native code by wazero. It runs in the goroutine that calls it and in no other: an interpreter has
// no goroutine and no thread, and costs memory alone while nobody calls it. There is one call at a time.
//
// # What it buys
//
// Isolation: a guest has what [Config] grants and nothing else, and what it does to itself (exit, panic, run out of memory, recurse or
// loop without end) costs one interpreter and not the program. Calls of a few microseconds, and a start of a few milliseconds. It does not buy
// speed: Go code runs slower in there than natively, and there is no parallelism within one interpreter. For batches of computing use
// a process pool.
package interpreters
