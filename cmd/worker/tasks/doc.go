// Package tasks holds the functions of the stock worker. They take and give what is natural as JSON, so that each can be
// tried with procpool map; a program that imports the package can run the same functions in its own process.
//
// Work:
//
//	echo     any JSON                     the same
//	primes   20                           how many primes there are below it
//	sha256   "text"                       its hash, in hexadecimal
//	gzip     "text"                       it compressed, as base64
//	gofmt    "/path/to/file.go"           {"path","bytes","formatted","gzipped","sha256"}: the file parsed, formatted, hashed, compressed
//
// The process itself:
//
//	pid      null                         of the worker
//	env      "NAME"                       the variable's value, or null
//	flood    {"stdout":N,"stderr":N}      N bytes written to each, and how long that took
//	leak     N                            N MiB are kept for ever: the worker's memory in bytes
//
// Time:
//
//	sleep    0.25                         after so many seconds the same; ends early if its ctx is done
//	spin     0.25                         uses a CPU for so many seconds: how often it went round
//	hang     null                         never returns, and does not listen to its ctx
//
// Failure. None of these does harm to more than one worker:
//
//	error    "text"                       fails with that text
//	panic    "text"                       panics
//	goexit   null                         leaves by runtime.Goexit
//	crash    {"how":"exit","code":3}      the process exits
//	         {"how":"signal","signal":11} a signal ends it
//	         {"how":"panic"}              a panic in another goroutine
//	         {"how":"stack"}              the stack overflows
//	         {"how":"memory"}             out of memory
//	         {"how":"once","file":"F"}    exits, unless file F exists, which it then does: for retries
package tasks

import "github.com/seed7d1be1d5/concurrent/futures"

// All is what the stock worker offers.
var All = []futures.Callable{
	Echo, Primes, SHA256, Gzip, Gofmt,
	PID, Env, Flood, Leak,
	Sleep, Spin, Hang,
	Error, Panic, Goexit, Crash,
}
