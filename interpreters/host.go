package interpreters

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// offerHost offers the host's functions to the modules of r: see abi.Module.
func offerHost(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(abi.Module)
	offer := func(name string, params []api.ValueType, results []api.ValueType, f func(in *instance, m api.Module, s []uint64)) {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, s []uint64) {
			f(instanceOf(ctx), m, s)
		}), params, results).Export(name)
	}
	offer("tick", nil, nil, func(in *instance, _ api.Module, _ []uint64) { in.tick() })
	offer("serve", words(2), nil, func(in *instance, m api.Module, s []uint64) { in.serve(m, uint32(s[0]), uint32(s[1])) })
	offer("limits", words(1), nil, func(in *instance, m api.Module, s []uint64) {
		in.writePair(m, uint32(s[0]), in.heapLimit(), in.stackLimit())
	})
	offer("self", nil, []api.ValueType{i64}, func(in *instance, _ api.Module, s []uint64) { s[0] = uint64(in.id) })
	offer("interrupted", nil, words(1), func(in *instance, _ api.Module, s []uint64) { s[0] = in.interrupted() })
	offer("listen", nil, nil, func(in *instance, _ api.Module, _ []uint64) { in.run.listens = true })
	offer("take", words(1), nil, func(in *instance, m api.Module, s []uint64) { in.take(m, uint32(s[0])) })
	offer("host_call", words(4), words(1), func(in *instance, m api.Module, s []uint64) {
		in.charge((uint64(uint32(s[1])) + uint64(uint32(s[3]))) / bytesMade)
		name, arg := in.read(m, s[0], s[1]), in.read(m, s[2], s[3])
		in.left = in.callHost(string(name), arg)
		in.obey() // the function may have taken long, or have killed it
		s[0] = uint64(len(in.left))
	})
	offer("queue_put", []api.ValueType{i64, i32, i32, i32, i64}, []api.ValueType{i64}, func(in *instance, m api.Module, s []uint64) {
		in.charge(uint64(uint32(s[2])) / bytesMade)
		status := in.putQueue(int64(s[0]), in.read(m, s[1], s[2]), int32(s[3]), s[4])
		s[0] = status<<32 | uint64(len(in.left))
	})
	offer("queue_get", []api.ValueType{i64, i64}, []api.ValueType{i64}, func(in *instance, _ api.Module, s []uint64) {
		status := in.getQueue(int64(s[0]), s[1])
		s[0] = status<<32 | uint64(len(in.left))
	})
	offer("queue_cancel", []api.ValueType{i64}, nil, func(in *instance, _ api.Module, s []uint64) { in.port.cancel(s[0]) })
	offer("queue_info", []api.ValueType{i64, i32}, words(1), func(in *instance, m api.Module, s []uint64) {
		size, maxsize, err := in.port.info(int64(s[0]))
		ptr := uint32(s[1])
		if s[0] = abi.QueueNotFound; err == nil {
			in.writePair(m, ptr, int64(size), int64(maxsize))
			s[0] = abi.QueueOK
		}
	})
	_, err := b.Instantiate(ctx)
	return err
}

var errOutside = errors.New("it has given the host an address outside of its memory")

// read is a view of the guest's memory.
func (in *instance) read(m api.Module, ptr, size uint64) []byte {
	view, ok := m.Memory().Read(uint32(ptr), uint32(size))
	if !ok {
		in.stop(errOutside)
	}
	return view
}

func (in *instance) writePair(m api.Module, ptr uint32, first, second int64) {
	var pair [16]byte
	binary.LittleEndian.PutUint64(pair[:], uint64(first))
	binary.LittleEndian.PutUint64(pair[8:], uint64(second))
	if !m.Memory().Write(ptr, pair[:]) {
		in.stop(errOutside)
	}
}

func (in *instance) take(m api.Module, ptr uint32) {
	in.charge(uint64(len(in.left)) / bytesMoved)
	if !m.Memory().Write(ptr, in.left) {
		in.stop(errOutside)
	}
	in.left = nil
}

const (
	// headroom is what a Go guest has beside its heap: stacks, tables, the data of the program.
	headroom = 8

	maxStack = 16 << 20
)

// heapLimit is how much Go's collector lets the guest have before it works harder. Beyond the memory's own limit the guest dies.
func (in *instance) heapLimit() int64 {
	return int64(min(in.config.MemoryLimit-in.config.MemoryLimit/headroom, math.MaxInt64))
}

// stackLimit bounds what runaway recursion costs, in the guest and outside: wazero's own stack grows with that of the guest.
func (in *instance) stackLimit() int64 { return int64(min(maxStack, in.config.MemoryLimit/4)) }

// putQueue and getQueue speak for the guest, and leave a text or the value to be taken.
func (in *instance) putQueue(id int64, encoded []byte, unbound int32, ticket uint64) uint64 {
	var policy *UnboundItem
	if u := UnboundItem(unbound); u.Valid() {
		policy = &u
	}
	return in.queueStatus(in.port.put(id, encoded, policy, ticket), false)
}

func (in *instance) getQueue(id int64, ticket uint64) uint64 {
	encoded, unbound, err := in.port.get(id, ticket)
	status := in.queueStatus(err, unbound)
	if err == nil {
		in.left = encoded
	}
	return status
}

func (in *instance) queueStatus(err error, unbound bool) uint64 {
	in.left = nil
	switch {
	case err == nil:
		return abi.QueueOK
	case unbound:
		return abi.QueueUnbound
	case errors.Is(err, futures.ErrNotShareable): // first: it may name a queue
	case errors.Is(err, ErrQueueEmpty):
		return abi.QueueEmpty
	case errors.Is(err, ErrQueueFull):
		return abi.QueueFull
	case errors.Is(err, ErrQueueNotFound):
		return abi.QueueNotFound
	case errors.Is(err, ErrItemInterpreterDestroyed):
		return abi.QueueDestroyed
	}
	in.left = []byte(err.Error())
	return abi.QueueRefused
}

// callHost calls a function that was granted, and is its answer. It runs in the goroutine that runs the guest, which stands still meanwhile.
func (in *instance) callHost(name string, arg []byte) []byte {
	value, failure := in.runGranted(name, arg)
	if failure == nil {
		return value
	}
	answer, err := ipc.AppendValue([]byte{abi.AnswerFailure}, failure)
	if err != nil {
		panic(fmt.Sprintf("interpreters: BUG: a failure cannot be encoded: %v", err)) // it is made of texts
	}
	return answer
}

func (in *instance) runGranted(name string, arg []byte) ([]byte, *ipc.Failure) {
	fn := in.config.granted(name)
	if fn == nil {
		return nil, &ipc.Failure{Kind: ipc.FailedFunction, Message: "Config.HostFuncs does not grant it"}
	}
	inv := fn.NewInvocation()
	err := in.port.check(arg)
	if err == nil {
		err = ipc.DecodeValue(arg, inv.Arg())
	}
	if err != nil {
		return nil, &ipc.Failure{Kind: ipc.FailedArgument, Message: err.Error()}
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(in.run.ctx, currentKey{}, in.owner))
	defer cancel(nil)
	in.run.hostCtx.Store(&cancel)
	defer in.run.hostCtx.Store(nil)
	in.obey()
	if err := inv.Run(ctx); err != nil {
		var task *futures.TaskError
		errors.As(err, &task) // always: Run says so
		failure := ipc.TaskFailure(task)
		return nil, &failure
	}
	answer, err := ipc.AppendValue([]byte{abi.AnswerValue}, inv.Result())
	if err == nil {
		err = in.port.admit(answer[1:])
	}
	if err != nil {
		return nil, &ipc.Failure{Kind: ipc.FailedResult, Message: err.Error()}
	}
	return answer, nil
}

// waits reports whether the guest is in line at a queue.
func (p *queuePort) waits() bool { return len(p.waiters) > 0 }
