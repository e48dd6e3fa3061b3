// Package interpreters runs isolated interpreters in this process, and queues between them: Python's concurrent.interpreters. Begin with
//
//	image, err := interpreters.Load(ctx, wasm, interpreters.ImageConfig{})
//	ip, err := interpreters.Create(ctx, image, interpreters.Config{MemoryLimit: 64 << 20})
//	defer ip.Close()
//	sum, err := interpreters.Call(ctx, ip, tasks.Add, tasks.Pair{A: 40, B: 2})
//
// or with [NewPool], which is an executor as those of threads and processes are.
//
// # How a guest is built
//
// A guest is a worker's main package, the one that runs in a process pool as well:
//
//	func main() { worker.Main(tasks.Add, tasks.IsPrime) }
//
// The Go toolchain alone makes the module for [Load] of it, for a program to embed or to read:
//
//	GOOS=wasip1 GOARCH=wasm go build -o guest.wasm ./guest
//
// Load compiles it to machine code, which takes a second or so for each program; with ImageConfig.CacheDir it takes that once, and then a
// tenth. [ExecModule] runs any other program for WASI, whatever language it was written in, in the same sandbox. How a guest talks with
// its host is said in package ipc/abi, for guests in other languages.
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
// no goroutine and no thread, and costs some 5 MiB of memory and nothing else while nobody calls it. There is one call at a time, and a second one gets
// [ErrRunning]. Package variables live as long as the interpreter, and are seen by no other. The guest's own goroutines run during calls, one
// at a time.
//
// # What it buys, and what not
//
// A guest has what [Config] grants and nothing else: no files, environment, network or processes, and as much memory, time and computing as it
// is given. What it does to itself (exit, panic, run out of memory, recurse or loop without end) costs one interpreter and not the program: the
// call returns a [Died] that says why. A ctx that is done is told to the function first, which may end and leave the interpreter as it is; who does not
// listen is stopped after Config.Grace.
//
// Calls take microseconds and a start takes milliseconds. Computing is not faster in there: Go code takes from a little longer to four times as long as
// natively, ten times where it allocates or reflects a lot, and twenty where native Go has assembly, as in hashes. So use
//
//   - interpreters for code that is not trusted, for limits on memory and time, for state that must stay apart, and for tiny calls;
//   - procpool for batches of computing, and for cgo;
//   - threadpool for your own code that returns and does not crash.
//
// # Scripts
//
// [Interpreter.Exec] runs source text, in a guest whose main imports an engine for it:
//
//	import _ "github.com/seed7d1be1d5/concurrent/worker/starlark"
//
// The text is Starlark. It is not Python, although it looks like it, and it is not Go. CPython is not a library that a Go program could have
// in it, and there is no interpreter of Go that gives the results of Go: the one there is differs in loop variables, generics and errors, and one
// panic in a goroutine of a script ends the whole process. Starlark is hermetic, can be interrupted, and is maintained. It is much slower than compiled
// code and meant for glue: the guest's functions, the names bound by PrepareMain and queues are its builtins.
//
// # Queues
//
// A [Queue] takes copies of values, from goroutines of this program and from guests. A guest knows it as a worker.Queue, which [worker.QueueOf] makes
// for an argument, and can use no queue that it was not given. While one goroutine of a guest waits at a queue, its others run.
//
// # Safety
//
//   - Whoever can write to ImageConfig.CacheDir can have this program run what they want: it holds machine code, which is checked for damage and not for
//     malice. Give it a folder of your own, not one in a shared temporary directory.
//   - The sandbox is that of WebAssembly, as wazero implements it. Beside it stand: the size of the memory, the meter by which loops are
//     stopped, and checks of whatever a guest hands out. A worker of package procpool with a Sandbox is another wall; combine them where one is not enough.
//   - What you grant is reachable: Config.HostFuncs run with the rights of this program, and a guest chooses their arguments. Config.FS can be
//     read as a whole, and a symbolic link in an os.DirFS leads out of it: [os.Root.FS] does not follow those.
//   - Time and randomness are real. A guest can measure how long things take.
//   - Sizes are bounded, but by what was granted: a guest may fill its memory limit, and the same again in queues.
//   - Load cannot be interrupted: its ctx bounds the wait, and not what compiling a hostile module takes.
//
// SECURITY.md has the whole list.
//
// # What it does not do
//
// It does not run on platforms for which wazero has no compiler, unless told to (ImageConfig.OnSlowPlatform). A guest has no threads, no
// network and no cgo, and cannot create interpreters. Nothing is closed behind your back: Close what you have loaded and created.
//
// [worker.QueueOf]: https://pkg.go.dev/github.com/seed7d1be1d5/concurrent/worker#QueueOf
package interpreters
