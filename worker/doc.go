// Package worker turns a program into a worker: a process of a pool, or built for WebAssembly a guest of package interpreters. The whole of one is
//
//	func main() { worker.Main(tasks.IsPrime) }
//
// and a program that is its own worker begins its main with
//
//	worker.MainIfWorker(tasks.IsPrime)
//
// # What a worker is
//
//	fd 3 ── frames ──▶ reader ── requests ──▶ runner ── one call at a time ──▶ Func
//	                     │ cancels its ctx ──▶   │
//	                     ▼                       └── its response ── frames ──▶ fd 4
//	            end of file: exit at once
//
// The reader never waits for the runner, so it always sees a cancel, and the end of its descriptor: then the host is gone
// or wants the worker gone, and the process exits at once, whatever it is doing. Standard output and standard error belong
// to the functions; the host collects both. Standard input is empty.
//
// Requests may arrive ahead of their turn; a response is written before the next call begins, so that a crash takes no
// result of an earlier call along.
//
// A function is run on its own, with a ctx that is done when the caller's is or when the call has run for its
// [futures.Timeout]. One that does not listen costs its worker: the host kills it after Config.KillGrace.
//
// # What a guest is
//
// The same main package, built by GOOS=wasip1 GOARCH=wasm go build, runs inside of its host's process: see package interpreters. There [Self] is the
// id of its interpreter, [Var] what the host has bound to a name, [CallHost] calls a function that the host has granted, and a [Queue] is shared
// with the host and other guests. A loop that does not wait calls [Checkpoint] now and then, or its ctx could not end it. All of these can be called natively as
// well, and say what is so there. With worker/starlark imported, the host may send scripts.
//
// The package links neither go-plugin nor grpc, whose package initialisers would take longer than all the rest of a start.
package worker
