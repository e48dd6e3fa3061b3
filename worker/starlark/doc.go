// Package starlark is the script engine of the guests of package interpreters: what Interpreter.Exec runs. A worker's main links it
// in by an import, and nothing else changes:
//
//	import _ "github.com/seed7d1be1d5/concurrent/worker/starlark"
//
//	func main() { worker.Main(tasks.Add, tasks.IsPrime) }
//
// The language is Starlark (https://github.com/google/starlark-go): the syntax of Python, and a part of its semantics. It is neither Python
// nor Go. There are no classes, exceptions, imports and generators, and nothing reaches out of the interpreter but the functions below. It
// is for the glue between functions written in Go: a loop in it is much slower than one in Go.
//
// # What is allowed
//
// What a Python programmer expects of a main program: if, for and while at the top level, names that are bound again, functions that call
// themselves, sets. The options that forbid these are there for files of configuration, which must come to an end; a script is stopped by its
// ctx instead. Names that code binds at the top level stay from one Exec to the next, and a function sees what a name is bound to when
// it runs, also if it was bound after the function was made.
//
// # What a script finds
//
//   - Funcs given to worker.Main, by their names: tasks.Add(A=1, B=2) fills the fields of the argument, a struct; tasks.IsPrime(7) gives the
//     argument itself. Values are copied on the way in and out. A struct comes back as a value with attributes, which cannot be set; a map as
//     a dict, a slice as a list.
//   - What PrepareMain has bound.
//   - Queues, as values with the methods put, put_nowait, get, get_nowait, qsize, empty and full and the attributes id and maxsize. put and get
//     take block and timeout, in seconds, as in Python. UNBOUND is what stands for an item whose interpreter is gone.
//   - print, which writes a line to the standard output, and fail, which ends the script.
//
// # How a script ends early
//
// With an error, of which the host sees type, message and traceback. The type is that of the Go error that a Func has returned, or SyntaxError,
// NameError, TypeError, Fail (of fail), RecursionError, NotShareableError, QueueEmpty and the like, or else EvalError. When the ctx of Exec
// is done, the script is stopped within 1000 steps of the Starlark machine, or in the get or put that waits, with an error of type
// Interrupted. The names keep what they were bound to, and the interpreter can be used again. A single step that is endless by itself, such as
// max(range(1 << 40)), does not look at the ctx; it ends with the interpreter, after Config.Grace.
package starlark
