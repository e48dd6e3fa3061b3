package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"unsafe"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
	"github.com/seed7d1be1d5/concurrent/worker/internal/engine"
)

// guest is this program as an interpreter. The host calls it, never twice at a time, and there is one thread.
var guest struct {
	offered []futures.Callable   // in the order of hello
	calls   []futures.Invocation // of each, used again; nil until it is called
	room    []byte               // for what comes from the host
	answer  []byte               // for what goes there
	running *callContext         // of the call that runs; nil if none does
	vars    map[string][]byte    // bound by the host: encoded
	engine  engine.Engine        // nil until it is needed
}

// keepRoom is the largest buffer that is kept for the next call.
const keepRoom = 1 << 20

func startedAsWorker() bool { return true }

// serve never returns. The host calls the exported functions from now on, in a goroutine that lies in hostServe for good.
func serve(table offered) error {
	var limits [2]int64
	hostLimits(unsafe.Pointer(&limits))
	if limits[0] > 0 {
		debug.SetMemoryLimit(limits[0])
	}
	if limits[1] > 0 {
		debug.SetMaxStack(int(limits[1]))
	}
	for _, fn := range table.list {
		guest.offered = append(guest.offered, table.byName[fn.Name])
	}
	guest.calls = make([]futures.Invocation, len(guest.offered))
	hello, err := ipc.AppendValue(nil, &abi.Hello{ABI: abi.Version, Engine: engine.Registered() != nil, Functions: table.list})
	if err != nil {
		return err
	}
	go receiveEvents() // as long as the interpreter lives, as is the next one
	go give(hello)
	select {}
}

// give hands b to the host, which goes on from there.
func give(b []byte) { hostServe(address(b), uint32(len(b))) }

//go:wasmexport concurrent_buffer
func guestBuffer(size uint32) unsafe.Pointer {
	if n := uint32(cap(guest.room)); n < size || n > keepRoom || n == 0 {
		guest.room = make([]byte, max(size, 4<<10))
	}
	guest.room = guest.room[:cap(guest.room)]
	return address(guest.room)
}

//go:wasmexport concurrent_call
func guestCall(function, size uint32, id, deadline, timeout int64) uint64 {
	return during(id, deadline, timeout, func(ctx *callContext) ([]byte, *ipc.Failure) {
		return call(ctx, function, guest.room[:size])
	})
}

//go:wasmexport concurrent_bind
func guestBind(size uint32) uint64 {
	return during(0, 0, 0, func(*callContext) ([]byte, *ipc.Failure) {
		return nothing(), bind(guest.room[:size])
	})
}

//go:wasmexport concurrent_exec
func guestExec(size uint32, id, deadline int64) uint64 {
	return during(id, deadline, 0, func(ctx *callContext) ([]byte, *ipc.Failure) {
		return nothing(), exec(ctx, string(guest.room[:size]))
	})
}

// during runs f as the call of that id, and packs its answer.
func during(id, deadline, timeout int64, f func(*callContext) ([]byte, *ipc.Failure)) uint64 {
	c := &struct {
		ctx  callContext
		meta ipc.Meta
	}{meta: ipc.Meta{Deadline: deadline, Timeout: timeout}}
	c.ctx.id, c.ctx.meta = uint64(id), &c.meta
	if cap(guest.answer) > keepRoom {
		guest.answer = nil
	}
	guest.running = &c.ctx
	returned := false
	defer func() {
		guest.running = nil
		c.ctx.end()
		if !returned {
			// Left by runtime.Goexit, and this goroutine is lost.
			failure := ipc.TaskFailure(futures.GoexitError("the call"))
			guest.answer = answerFailure(&failure)
			go give(guest.answer)
		}
	}()
	c.ctx.begin()
	answer, failure := f(&c.ctx)
	if failure != nil {
		answer = answerFailure(failure)
	}
	guest.answer = answer
	returned = true
	return uint64(uintptr(address(answer)))<<32 | uint64(len(answer))
}

func call(ctx *callContext, function uint32, arg []byte) ([]byte, *ipc.Failure) {
	inv := guest.calls[function]
	if inv == nil {
		inv = guest.offered[function].NewInvocation()
		guest.calls[function] = inv
	}
	defer inv.Reset()
	if err := ipc.DecodeValue(arg, inv.Arg()); err != nil {
		return nil, &ipc.Failure{Kind: ipc.FailedArgument, Message: err.Error()}
	}
	if err := inv.Run(ctx); err != nil {
		var task *futures.TaskError
		errors.As(err, &task) // always: Run says so
		failure := ipc.TaskFailure(task)
		return nil, &failure
	}
	answer, err := ipc.AppendValue(append(guest.answer[:0], abi.AnswerValue), inv.Result())
	if err != nil {
		return nil, &ipc.Failure{Kind: ipc.FailedResult, Message: err.Error()}
	}
	return answer, nil
}

// bind takes names and values in turn.
func bind(src []byte) *ipc.Failure {
	encoded, decoded := map[string][]byte{}, map[string]any{}
	for len(src) > 0 {
		name, value, rest, err := cutPair(src)
		if err != nil {
			return &ipc.Failure{Kind: ipc.FailedArgument, Message: err.Error()}
		}
		encoded[name], src = append([]byte(nil), value...), rest
	}
	if start := engine.Registered(); start != nil {
		for name, value := range encoded {
			var v any
			if err := ipc.DecodeValue(value, &v); err != nil {
				return &ipc.Failure{Kind: ipc.FailedArgument, Message: err.Error()}
			}
			decoded[name] = v
		}
		if guest.engine == nil {
			guest.engine = start(guest.offered)
		}
		if err := guest.engine.Bind(decoded); err != nil {
			return &ipc.Failure{Kind: ipc.FailedArgument, Message: err.Error()}
		}
	}
	if guest.vars == nil {
		guest.vars = map[string][]byte{}
	}
	for name, value := range encoded {
		guest.vars[name] = value
	}
	return nil
}

func cutPair(src []byte) (name string, value, rest []byte, err error) {
	first, rest, err := ipc.CutValue(src)
	if err == nil {
		err = ipc.DecodeValue(first, &name)
	}
	if err == nil {
		value, rest, err = ipc.CutValue(rest)
	}
	return name, value, rest, err
}

// exec runs code with the engine. A panic of the engine is a failure of the script.
func exec(ctx context.Context, code string) (failure *ipc.Failure) {
	start := engine.Registered()
	if start == nil {
		return &ipc.Failure{Kind: ipc.FailedFunction, Message: "no script engine is linked in"}
	}
	if guest.engine == nil {
		guest.engine = start(guest.offered)
	}
	defer func() {
		if r := recover(); r != nil {
			f := ipc.TaskFailure(&futures.TaskError{Type: fmt.Sprintf("%T", r), Message: fmt.Sprint(r), Stack: string(debug.Stack()), Panicked: true})
			failure = &f
		}
	}()
	err := guest.engine.Exec(ctx, code)
	if err == nil {
		return nil
	}
	task := &futures.TaskError{Type: fmt.Sprintf("%T", err), Message: err.Error(), Causes: []error{err}}
	var script *engine.Failure
	if errors.As(err, &script) {
		task.Type, task.Message, task.Stack = script.Type, script.Msg, script.Traceback
	}
	f := ipc.TaskFailure(task)
	return &f
}

func nothing() []byte { return append(guest.answer[:0], abi.AnswerValue, 0xC0) } // msgpack's nil

func answerFailure(f *ipc.Failure) []byte {
	answer, err := ipc.AppendValue(append(guest.answer[:0], abi.AnswerFailure), f)
	if err != nil {
		panic(fmt.Sprintf("worker: a failure cannot be encoded: %v", err)) // it is made of texts
	}
	return answer
}
