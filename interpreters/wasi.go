package interpreters

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// What WASI's functions answer.
const (
	errnoSuccess = 0
	errnoAgain   = 6
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
	errnoMfile   = 33
)

// offerWASI offers WASI to the modules of r: wazero's own, but for what must know of events, of being stopped and of what a guest may have.
func offerWASI(ctx context.Context, r wazero.Runtime) error {
	// wazero's functions are had from a module that is compiled and never used.
	whole := r.NewHostModuleBuilder("wasi")
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(whole)
	compiled, err := whole.Compile(ctx)
	if err != nil {
		return err
	}
	functions := compiled.ExportedFunctions()
	original := func(name string) api.GoModuleFunction { return functions[name].GoFunction().(api.GoModuleFunction) }
	b := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	offer := func(name string, f api.GoModuleFunction) {
		b.NewFunctionBuilder().WithGoModuleFunction(f, functions[name].ParamTypes(), functions[name].ResultTypes()).Export(name)
	}
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		offer(name, promptly(name, original(name)))
	}
	read, status := promptly("fd_read", original("fd_read")), original("fd_fdstat_get")
	open, closing, renumber := promptly("path_open", original("path_open")), original("fd_close"), original("fd_renumber")
	offer("poll_oneoff", api.GoModuleFunc(pollOneoff))
	offer("fd_read", api.GoModuleFunc(func(ctx context.Context, m api.Module, s []uint64) {
		if uint32(s[0]) == abi.Events {
			s[0] = instanceOf(ctx).readEvents(m.Memory(), uint32(s[1]), uint32(s[2]), uint32(s[3]))
			return
		}
		read.Call(ctx, m, s)
	}))
	offer("fd_fdstat_get", api.GoModuleFunc(func(ctx context.Context, m api.Module, s []uint64) {
		if uint32(s[0]) == abi.Events {
			s[0] = eventsStatus(m.Memory(), uint32(s[1]))
			return
		}
		status.Call(ctx, m, s)
	}))
	offer("path_open", api.GoModuleFunc(func(ctx context.Context, m api.Module, s []uint64) {
		instanceOf(ctx).openFile(m.Memory(), s, func() { open.Call(ctx, m, s) })
	}))
	offer("fd_close", api.GoModuleFunc(func(ctx context.Context, m api.Module, s []uint64) {
		fd := uint32(s[0])
		if closing.Call(ctx, m, s); s[0] == errnoSuccess {
			delete(instanceOf(ctx).files, fd)
		}
	}))
	offer("fd_renumber", api.GoModuleFunc(func(ctx context.Context, m api.Module, s []uint64) {
		from, to := uint32(s[0]), uint32(s[1])
		if to >= maxDescriptor { // wazero's table would have a place for each one below
			s[0] = errnoBadf
			return
		}
		if renumber.Call(ctx, m, s); s[0] == errnoSuccess {
			files := instanceOf(ctx).files
			delete(files, from)
			files[to] = struct{}{}
		}
	}))
	offer("proc_exit", api.GoModuleFunc(func(_ context.Context, _ api.Module, s []uint64) {
		panic(sys.NewExitError(uint32(s[0]))) // and no more: the module is closed by who called it
	}))
	_, err = b.Instantiate(ctx)
	return err
}

// maxBuffers is how many buffers a guest may read into or write from at once: IOV_MAX of Linux.
const maxBuffers = 1 << 10

// promptly is a function of WASI that does not begin for a guest that is to be stopped, nor with more than it can soon be done with: a call of the
// host is not interrupted, and some are long if a guest wants them to be.
func promptly(name string, f api.GoModuleFunction) api.GoModuleFunction {
	switch name {
	case "clock_time_get": // is short, and called all the time
		return f
	case "fd_read", "fd_pread", "fd_write", "fd_pwrite":
		return api.GoModuleFunc(func(ctx context.Context, m api.Module, s []uint64) {
			if uint32(s[2]) > maxBuffers {
				s[0] = errnoInval
				return
			}
			instanceOf(ctx).obey()
			f.Call(ctx, m, s)
		})
	default:
		return api.GoModuleFunc(func(ctx context.Context, m api.Module, s []uint64) {
			instanceOf(ctx).obey()
			f.Call(ctx, m, s)
		})
	}
}

func words(n int) []api.ValueType {
	types := make([]api.ValueType, n)
	for i := range types {
		types[i] = i32
	}
	return types
}

const (
	// maxFiles is how many files a guest may have open. Each can be a descriptor of this program, which has not many.
	maxFiles = 256

	maxDescriptor = 1 << 10
)

// openFile is path_open, with the parameters s, as long as there are not too many files open.
func (in *instance) openFile(mem api.Memory, s []uint64, open func()) {
	if len(in.files) >= maxFiles {
		s[0] = errnoMfile
		return
	}
	result := uint32(s[8])
	if open(); s[0] != errnoSuccess {
		return
	}
	if fd, ok := mem.ReadUint32Le(result); ok { // it was just written there
		in.files[fd] = struct{}{}
	}
}

// eventsStatus says that events never block, which is how Go's poller comes to take them.
func eventsStatus(mem api.Memory, ptr uint32) uint64 {
	const characterDevice, nonblock, rightRead = 2, 4, 1 << 1
	var status [24]byte
	status[0] = characterDevice
	binary.LittleEndian.PutUint16(status[2:], nonblock)
	binary.LittleEndian.PutUint64(status[8:], rightRead)
	if !mem.Write(ptr, status[:]) {
		return errnoFault
	}
	return errnoSuccess
}

// readEvents is fd_read of the events: into the first of the buffers, whole events only.
func (in *instance) readEvents(mem api.Memory, buffers, count, read uint32) uint64 {
	if count == 0 {
		return errnoInval
	}
	ptr, ok1 := mem.ReadUint32Le(buffers)
	size, ok2 := mem.ReadUint32Le(buffers + 4)
	if !ok1 || !ok2 {
		return errnoFault
	}
	if size < 8 {
		return errnoInval
	}
	if _, ok := mem.Read(ptr, size); !ok {
		return errnoFault
	}
	events := in.events.take(int(size / 8))
	if len(events) == 0 {
		return errnoAgain
	}
	for i, event := range events {
		mem.WriteUint64Le(ptr+uint32(8*i), event)
	}
	if !mem.WriteUint32Le(read, uint32(8*len(events))) {
		return errnoFault
	}
	return errnoSuccess
}

// Sizes and places in WASI's subscriptions and events.
const (
	subscriptionSize = 48
	eventSize        = 32
	maxSubscriptions = 1 << 16

	eventClock, eventRead, eventWrite = 0, 1, 2
)

// pollOneoff waits for events and clocks. Other descriptors are always ready, as in wazero.
func pollOneoff(ctx context.Context, m api.Module, s []uint64) {
	in, out, count, result := uint32(s[0]), uint32(s[1]), uint32(s[2]), uint32(s[3])
	mem := m.Memory()
	if count == 0 || count > maxSubscriptions {
		s[0] = errnoInval
		return
	}
	subscriptions, ok1 := mem.Read(in, count*subscriptionSize)
	answers, ok2 := mem.Read(out, count*eventSize)
	if !ok1 || !ok2 {
		s[0] = errnoFault
		return
	}
	p := poll{answers: answers, clock: -1}
	for ; len(subscriptions) > 0; subscriptions = subscriptions[subscriptionSize:] {
		if !p.subscribe(subscriptions[:subscriptionSize]) {
			s[0] = errnoInval
			return
		}
	}
	if p.ready > 0 {
		p.clock = 0
	}
	if instanceOf(ctx).wait(wait{events: p.events != nil, clock: p.clock}) {
		p.say(p.events, eventRead)
	} else if p.ready == 0 {
		p.say(p.alarm, eventClock)
	}
	s[0] = errnoSuccess
	if !mem.WriteUint32Le(result, p.ready) {
		s[0] = errnoFault
	}
}

// A poll is one poll_oneoff.
type poll struct {
	answers []byte // of the guest's memory
	ready   uint32 // so many are given

	events, alarm []byte        // the subscriptions to the events and to the first clock; nil for none
	clock         time.Duration // until the alarm; negative for none
}

// subscribe reports false if the subscription is to nothing that there is.
func (p *poll) subscribe(sub []byte) bool {
	switch kind := sub[8]; {
	case kind == eventClock:
		if d := untilClock(sub); p.clock < 0 || d < p.clock {
			p.clock, p.alarm = d, sub
		}
	case kind == eventRead && binary.LittleEndian.Uint32(sub[16:]) == abi.Events:
		p.events = sub
	case kind == eventRead || kind == eventWrite:
		p.say(sub, kind)
	default:
		return false
	}
	return true
}

// say answers a subscription.
func (p *poll) say(sub []byte, kind byte) {
	e := p.answers[p.ready*eventSize : (p.ready+1)*eventSize]
	copy(e, sub[:8]) // the guest's own mark
	clear(e[8:])
	e[10] = kind
	p.ready++
}

// untilClock is how long a subscription to a clock waits.
func untilClock(sub []byte) time.Duration {
	const absolute, realtime = 1, 0
	t := binary.LittleEndian.Uint64(sub[24:])
	d := time.Duration(min(t, math.MaxInt64))
	if binary.LittleEndian.Uint16(sub[40:])&absolute == 0 {
		return d
	}
	if binary.LittleEndian.Uint32(sub[16:]) == realtime {
		return max(0, time.Until(time.Unix(0, int64(d))))
	}
	return max(0, d-time.Duration(monotonic()))
}

var clockStart = time.Now()

// monotonic is the guests' monotonic clock.
func monotonic() int64 { return int64(time.Since(clockStart)) }

// randomness is the system's, and never fails.
type randomness struct{ in *instance }

// Read is called by wazero, in the goroutine that runs the guest, until it has all that it wants. It does not return if the guest is stopped.
func (r randomness) Read(p []byte) (int, error) {
	p = p[:min(len(p), readAhead)]
	r.in.charge(uint64(len(p)) / bytesMade)
	return rand.Read(p)
}
