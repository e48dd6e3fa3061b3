// Package abi is how a host and a guest of package interpreters talk. A guest is a WebAssembly module for WASI preview 1,
// a command, which any language can make.
//
// # Life
//
// The host instantiates the module and calls _start. The guest prepares itself, and says what it offers by calling serve, a function
// of the host that does not return: the host leaves _start there, and all that the guest is lies in its memory and its globals. From then on
// the host calls the functions that the guest exports, one at a time, as if from within serve. A guest that is not called does not run.
//
// Of a Go program main is what runs until serve, and its goroutines run while a function is being called.
//
// # What the guest exports, besides what WASI asks for
//
//	concurrent_buffer(size i32) ptr i32
//	    Room for what comes next from the host: size bytes, which stay valid until the next concurrent_buffer.
//	concurrent_call(function i32, size i32, id i64, deadline i64, timeout i64) answer i64
//	    Calls a function, by its place in hello, with the argument in the buffer: size bytes of msgpack. id names the call in events. deadline is
//	    that of the caller, in nanoseconds since 1970, and timeout the time of the call itself, in nanoseconds; zero means none.
//	concurrent_bind(size i32) answer i64
//	    Binds names to values, all or none: the buffer holds names, which are strings, and values in turn. The answer's value is nil.
//	concurrent_exec(size i32, id i64, deadline i64) answer i64
//	    Runs the source text in the buffer with the guest's script engine. The answer's value is nil.
//
// An answer is the address of size bytes in the upper half and their number in the lower one. They stay valid until the guest is called again.
// The first one is an Answer constant, the rest is msgpack: the value, or a [ipc.Failure].
//
// # What the host offers to the guest, in module [Module]
//
//	serve(ptr i32, size i32)
//	    Ends _start: the bytes are a [Hello]. Ends a call as well, with the bytes as its answer, for a guest that cannot
//	    return from it. It never returns.
//	tick()
//	    Nothing to the guest. The host makes the module import it and call it from time to time, to stop it and to let others run.
//	limits(ptr i32)
//	    Writes two i64 there: how much memory the guest may have, and how large the stack of one goroutine may be. Zero means no limit.
//	self() id i64
//	    The id of the interpreter.
//	interrupted() i32
//	    Whether the call that runs is to end: one of the Interrupt constants.
//	listen()
//	    Says that somebody in the guest may wait for the end of the call that runs. Otherwise a guest that waits for nothing else is in a deadlock.
//	queue_put(queue i64, ptr i32, size i32, unbound i32, ticket i64) result i64
//	queue_get(queue i64, ticket i64) result i64
//	queue_cancel(ticket i64)
//	queue_info(queue i64, ptr i32) status i32
//	    See [QueueOK]. None of them waits. A put's unbound is -1 for the queue's own. A result is a status in the upper half, and how many bytes there are
//	    to take in the lower one. Info writes two i64: how many items there are, and how many there may be.
//	host_call(name i32, nameSize i32, arg i32, argSize i32) size i32
//	    Calls a function that the host has granted. There is an answer of size bytes to take.
//	take(ptr i32)
//	    Copies the bytes there that the last queue_get, queue_put or host_call has left to be taken.
//
// # Events
//
// Descriptor [Events] is a stream of events of eight bytes, little-endian, which never blocks: a guest polls it together
// with its other descriptors and its clocks. The upper two bits say what an event is, see [EventTicket], the others are a number.
//
// poll_oneoff ends early for an event and for nothing else. A guest that polls without a clock while no event can come that it waits for is in
// a deadlock.
package abi

import "github.com/seed7d1be1d5/concurrent/ipc"

const (
	Module  = "interp" // of the host's functions
	Version = 1        // of what is said here
	Events  = 1 << 20  // the descriptor of the events
)

// Hello is what a guest says of itself.
type Hello struct {
	ABI       int            `msgpack:"abi"`
	Engine    bool           `msgpack:"engine"` // it has a script engine
	Functions []ipc.Function `msgpack:"functions"`
}

// What the first byte of an answer says of the rest.
const (
	AnswerValue byte = iota
	AnswerFailure
)

// Why a call is to end.
const (
	InterruptNone = iota
	InterruptCancelled
	InterruptDeadline
	InterruptTimeout
)

// What an event is.
const (
	EventTicket   = iota // the number is a ticket that was in line at a queue: it is worth another look
	EventCancel          // the number is the id of a call whose caller wants no result any more
	EventDeadlock        // every goroutine waits, and nothing can wake one: the guest is to say so on its standard error, and to exit
)

// EventShift is where the number of an event ends and its kind begins.
const EventShift = 62

// The status of an operation on a queue.
const (
	QueueOK        = iota
	QueueEmpty     // and the ticket is in line
	QueueFull      // and the ticket is in line
	QueueNotFound  // it was closed, or never granted
	QueueDestroyed // the item's interpreter is gone, and that is an error
	QueueUnbound   // the item's interpreter is gone, and that is a value
	QueueRefused   // the value cannot travel: there is a text to take
)
