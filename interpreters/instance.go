package interpreters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// An instance is a module that runs. It runs in the goroutine of whoever calls it, one at a time, and in no other: it is stopped by a panic in
// one of the host's functions that it calls, and closed by its caller afterwards. To close it while it runs would pull its memory away
// from under it.
type instance struct {
	id     int64
	owner  *Interpreter
	config Config
	code   *code
	module api.Module
	memory *memory
	stderr *tail
	port   *queuePort

	// ctx goes with every call into the module, for the host's functions to find the instance. It is never done: wazero would close the
	// module then.
	ctx context.Context

	buffer, call, bind, exec api.Function
	stack                    [5]uint64 // of parameters and results

	offer          *offer
	room, roomSize uint32 // the guest's buffer, as it was last given; no size if it is to be asked for
	given          []byte // what serve was called with
	serving        bool   // serve was called
	left           []byte // to be taken
	calls          int64  // how many there were
	run            run    // what runs
	stopped        error  // why the host has stopped the guest
	ticks          uint64 // left of the fuel
	charged        uint64 // units that the host's functions have taken since the last tick for them

	files  map[uint32]struct{} // descriptors of those that the guest has opened
	events events
	kill   atomic.Pointer[error] // set from outside to stop it
}

// A run is one stay in the guest.
type run struct {
	ctx      context.Context
	id       int64     // of the call
	deadline time.Time // of ctx; zero for none
	overdue  error     // what that is the deadline of: context.DeadlineExceeded, or futures.ErrTimeout
	resumed  time.Time // when others last had a chance to run
	asked    time.Time // when the guest was asked to end; zero if it was not
	grace    time.Duration
	listens  bool // somebody in the guest may wait for the end of ctx
	deadlock bool // the guest was told of it
	hostCtx  atomic.Pointer[context.CancelCauseFunc]
}

type instanceKey struct{}

func instanceOf(ctx context.Context) *instance { return ctx.Value(instanceKey{}).(*instance) }

// newInstance makes an instance, and begins to run it for ctx: a module may have a function that runs at once.
func newInstance(ctx context.Context, owner *Interpreter, c *code, config Config, args []string) (*instance, error) {
	if config.MemoryLimit < c.leastMemory {
		return nil, fmt.Errorf("%w: Config.MemoryLimit is %d: the module alone needs %d", ErrImage, config.MemoryLimit, c.leastMemory)
	}
	id := owner.id
	in := &instance{id: id, owner: owner, code: c, config: config, memory: &memory{limit: config.MemoryLimit}, stderr: &tail{next: config.Stderr}, ticks: config.Fuel}
	in.events.wake, in.files = make(chan struct{}, 1), map[uint32]struct{}{}
	in.port = newQueuePort(id, int64(config.MemoryLimit), func(ticket uint64) { in.events.post(abi.EventTicket, ticket) }, func(ticket uint64) { in.events.retract(abi.EventTicket, ticket) })
	in.ctx = experimental.WithMemoryAllocator(context.WithValue(context.Background(), instanceKey{}, in), in.memory)
	in.begin(ctx, 0)
	owner.mu.Lock()
	owner.instance = in // to be killed
	owner.mu.Unlock()
	module, err := c.runtime.InstantiateModule(in.ctx, c.module, in.moduleConfig(args))
	if err != nil {
		in.port.close()
		if in.stopped != nil {
			return nil, autopsy(id, err, in.stopped, in.stderr.String())
		}
		return nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	in.module = module
	return in, nil
}

func (in *instance) close() {
	in.port.close()
	_ = in.module.Close(context.Background()) // closes the guest's files, which are only read
}

// start runs _start until the guest serves. It is the end of what newInstance has begun.
func (in *instance) start() error {
	defer in.end()
	err := in.enter(in.module.ExportedFunction("_start"))
	switch {
	case err != nil:
		return err
	case !in.serving:
		return errReturned
	}
	in.buffer = in.module.ExportedFunction("concurrent_buffer")
	in.call = in.module.ExportedFunction("concurrent_call")
	in.bind = in.module.ExportedFunction("concurrent_bind")
	in.exec = in.module.ExportedFunction("concurrent_exec")
	in.offer, err = in.code.parseOffer(in.given)
	return err
}

var errReturned = fmt.Errorf("%w: its main has returned without worker.Main", ErrImage)

// begin begins to run the guest for ctx. grace is how long it may go on when ctx is done. It ends with end.
func (in *instance) begin(ctx context.Context, grace time.Duration) {
	in.calls++
	r := &in.run
	r.ctx, r.id, r.grace = ctx, in.calls, grace
	r.resumed, r.asked = time.Now(), time.Time{}
	r.listens, r.deadlock = false, false
	r.deadline, _ = ctx.Deadline()
	r.overdue = context.DeadlineExceeded
	in.events.forgetCancel()
	in.port.wake()
}

// end is called when the guest does not run any more. What the call was for is not kept; what is left to be taken is, since a goroutine of the guest may be
// about to, and goes on with the next call.
func (in *instance) end() {
	in.port.sleep()
	in.run.ctx, in.given = nil, nil
	if in.roomSize > keepRoom {
		in.roomSize = 0
	}
}

// enter has the guest run f with what is on the stack. An error is its end.
func (in *instance) enter(f api.Function) error {
	in.given, in.serving = nil, false
	err := f.CallWithStack(in.ctx, in.stack[:])
	if in.serving && in.stopped == nil { // left by way of serve
		return nil
	}
	return err
}

// keepRoom is the largest buffer that is used again.
const keepRoom = 1 << 20

// send puts what f appends into the guest's buffer, and returns its size.
func (in *instance) send(f func(dst []byte) ([]byte, error)) (size uint32, fatal, err error) {
	var room []byte
	if in.roomSize > 0 {
		var ok bool
		if room, ok = in.module.Memory().Read(in.room, in.roomSize); !ok {
			return 0, errOutside, nil
		}
	}
	encoded, err := f(room[:0])
	if err != nil {
		return 0, nil, err
	}
	if len(encoded) <= len(room) {
		return uint32(len(encoded)), nil, nil // it is there already
	}
	in.roomSize = max(uint32(len(encoded)), leastRoom)
	in.stack[0] = uint64(in.roomSize)
	if err := in.enter(in.buffer); err != nil {
		return 0, err, nil
	}
	in.room = uint32(in.stack[0])
	if !in.module.Memory().Write(in.room, encoded) {
		return 0, errOutside, nil
	}
	return uint32(len(encoded)), nil, nil
}

// leastRoom is the smallest buffer that is asked for.
const leastRoom = 4 << 10

// answer is what the guest has answered: a view of its memory, until it runs again. The first byte says what the rest is.
func (in *instance) answer() ([]byte, error) {
	answer := in.given
	if !in.serving {
		var ok bool
		if answer, ok = in.module.Memory().Read(uint32(in.stack[0]>>32), uint32(in.stack[0])); !ok {
			return nil, errOutside
		}
	}
	if len(answer) == 0 {
		return nil, errEmpty
	}
	return answer, nil
}

var errEmpty = errors.New("its answer is empty")

// awake makes a guest that waits in the host look at kill.
func (in *instance) awake(cause error) {
	in.events.nudge()
	if cancel := in.run.hostCtx.Load(); cancel != nil {
		(*cancel)(cause)
	}
}

// serve is the end of _start, or of a call that the guest cannot return from.
func (in *instance) serve(m api.Module, ptr, size uint32) {
	view, ok := m.Memory().Read(ptr, size)
	if !ok {
		in.stop(errOutside)
	}
	in.given, in.serving = append([]byte(nil), view...), true
	panic(sys.NewExitError(0))
}

// stop ends the guest from within one of the host's functions.
func (in *instance) stop(cause error) {
	in.stopped = cause
	panic(sys.NewExitError(sys.ExitCodeContextCanceled))
}

// moduleConfig grants what was asked for, and the real time and randomness.
func (in *instance) moduleConfig(args []string) wazero.ModuleConfig {
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithArgs(args...).
		WithSysWalltime().WithNanotime(monotonic, sys.ClockResolution(time.Microsecond)).WithRandSource(randomness{in}).
		WithStdout(output{in, in.config.Stdout}).WithStderr(output{in, in.stderr})
	if in.config.Stdin != nil {
		c = c.WithStdin(&stdin{in, in.config.Stdin})
	}
	if in.config.FS != nil {
		c = c.WithFSConfig(wazero.NewFSConfig().WithFSMount(in.config.FS, "/"))
	}
	for _, kv := range in.config.Env {
		name, value, _ := strings.Cut(kv, "=")
		c = c.WithEnv(name, value)
	}
	return c
}

// events is the guest's stream of events. Its mutex is a leaf: rings come with the locks of queues held.
type events struct {
	wake chan struct{} // has a value when there is something new, for who waits on behalf of the guest

	mu      sync.Mutex
	pending []uint64
}

func (e *events) post(kind, number uint64) {
	e.mu.Lock()
	e.pending = append(e.pending, kind<<abi.EventShift|number)
	e.mu.Unlock()
	e.nudge()
}

// retract drops an event that was not taken yet.
func (e *events) retract(kind, number uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at := slices.Index(e.pending, kind<<abi.EventShift|number); at >= 0 {
		e.pending = slices.Delete(e.pending, at, at+1)
	}
}

// nudge makes whoever waits on behalf of the guest look again.
func (e *events) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *events) any() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.pending) > 0
}

// take takes out up to n events.
func (e *events) take(n int) []uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	n = min(n, len(e.pending))
	taken := append([]uint64(nil), e.pending[:n]...)
	e.pending = append(e.pending[:0], e.pending[n:]...)
	return taken
}

// forgetCancel drops what was meant for a call that is over.
func (e *events) forgetCancel() {
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.pending[:0]
	for _, event := range e.pending {
		if event>>abi.EventShift == abi.EventTicket {
			kept = append(kept, event)
		}
	}
	e.pending = kept
}
