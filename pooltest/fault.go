package pooltest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// ErrInjected is matched by the errors of [Error], on both sides.
var ErrInjected = errors.New("pooltest: an injected error")

func init() { ipc.RegisterError("pooltest.ErrInjected", ErrInjected) }

// A Fault is something that happens to a call, or to the process it runs in. Make one with the functions of this package. The zero Fault is
// none: the call goes on. Faults travel: they can be part of an argument.
type Fault struct {
	Kind string // which of the functions made it; empty for none
	N    int64  // exit code, signal, bytes, nanoseconds, file descriptor: whatever that one takes
	M    int64  // its second number
	Text string // its text, or the address of a gate
}

// String is the fault as it is written in Go.
func (f Fault) String() string {
	switch f.Kind {
	case "":
		return "none"
	case kindSignal:
		return fmt.Sprintf("Signal(%v)", syscall.Signal(f.N))
	case kindExit, kindLeak:
		return fmt.Sprintf("%s(%d)", f.Kind, f.N)
	case kindSlow:
		return fmt.Sprintf("%s(%v)", f.Kind, time.Duration(f.N))
	case kindFlood:
		return fmt.Sprintf("%s(%d, %d)", f.Kind, f.N, f.M)
	case kindError, kindPanic, kindPanicElsewhere, kindWait, kindLurk:
		return fmt.Sprintf("%s(%q)", f.Kind, f.Text)
	default:
		return f.Kind + "()"
	}
}

const (
	kindError          = "Error"
	kindPanic          = "Panic"
	kindPanicElsewhere = "PanicElsewhere"
	kindGoexit         = "Goexit"
	kindExit           = "Exit"
	kindSignal         = "Signal"
	kindFreeze         = "Freeze"
	kindSegfault       = "Segfault"
	kindOutOfMemory    = "OutOfMemory"
	kindOverflow       = "Overflow"
	kindHang           = "Hang"
	kindObey           = "Obey"
	kindSlow           = "Slow"
	kindWait           = "Wait"
	kindLurk           = "Lurk"
	kindLeak           = "Leak"
	kindExhaustFiles   = "ExhaustFiles"
	kindHalfFrame      = "HalfFrame"
	kindGarbage        = "Garbage"
	kindOversize       = "Oversize"
	kindFlood          = "Flood"
	kindGrandchild     = "Grandchild"
	kindCloseLifeline  = "CloseLifeline"
)

// Error makes the call return an error with that text, which matches [ErrInjected].
func Error(text string) Fault { return Fault{Kind: kindError, Text: text} }

// Panic panics in the call.
func Panic(text string) Fault { return Fault{Kind: kindPanic, Text: text} }

// PanicElsewhere panics in another goroutine, where nobody can recover: the process dies with exit code 2.
func PanicElsewhere(text string) Fault { return Fault{Kind: kindPanicElsewhere, Text: text} }

// Goexit leaves the goroutine of the call by runtime.Goexit, as testing.T.FailNow does.
func Goexit() Fault { return Fault{Kind: kindGoexit} }

// Exit ends the process with an exit code, from 0 to 255, without a word.
func Exit(code int) Fault { return Fault{Kind: kindExit, N: int64(code)} }

// Signal sends the process a signal, and waits to die of it. Of others than SIGABRT, SIGBUS, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGQUIT,
// SIGSEGV, SIGSYS, SIGTERM and SIGTRAP not every Go program dies: they are an error, and not sent. So are SIGHUP and SIGINT in a program that was started
// with them ignored, as by nohup. For SIGSTOP use [Freeze].
func Signal(sig syscall.Signal) Fault { return Fault{Kind: kindSignal, N: int64(sig)} }

// Freeze stops the process as SIGSTOP does: it is not dead, and does nothing. The call goes on if somebody sends it SIGCONT.
func Freeze() Fault { return Fault{Kind: kindFreeze} }

// Segfault reads memory that is not there, where nobody can recover: the process dies with exit code 2.
func Segfault() Fault { return Fault{Kind: kindSegfault} }

// OutOfMemory makes the Go runtime give up for want of memory, without taking any: exit code 2. What the system does to a process that takes
// too much is Signal(syscall.SIGKILL).
func OutOfMemory() Fault { return Fault{Kind: kindOutOfMemory} }

// Overflow overflows the stack, which no Go program survives: exit code 2.
func Overflow() Fault { return Fault{Kind: kindOverflow} }

// Hang waits for ever, whatever the ctx says.
func Hang() Fault { return Fault{Kind: kindHang} }

// Obey waits for the ctx to be done, and returns its error.
func Obey() Fault { return Fault{Kind: kindObey} }

// Slow takes so much time, or as long as the ctx lets it.
func Slow(d time.Duration) Fault { return Fault{Kind: kindSlow, N: int64(d)} }

// Wait stands at a [Gate], whatever the ctx says, and does what it is told there. gate is its Addr.
func Wait(gate string) Fault { return Fault{Kind: kindWait, Text: gate} }

// Lurk leaves a goroutine behind that stands at a [Gate], and lets the call go on. So the process can be struck at a moment when it runs no call.
func Lurk(gate string) Fault { return Fault{Kind: kindLurk, Text: gate} }

// Leak takes so many bytes of memory, touches them, and never gives them back.
func Leak(bytes int64) Fault { return Fault{Kind: kindLeak, N: bytes} }

// ExhaustFiles leaves the process without a file descriptor to open another file with.
func ExhaustFiles() Fault { return Fault{Kind: kindExhaustFiles} }

// HalfFrame writes half a frame to the pool, and exits with 0.
func HalfFrame() Fault { return Fault{Kind: kindHalfFrame} }

// Garbage writes something to the pool that is no frame, and waits to be ended for it.
func Garbage() Fault { return Fault{Kind: kindGarbage} }

// Oversize announces a frame of four gigabytes to the pool, and waits to be ended for it.
func Oversize() Fault { return Fault{Kind: kindOversize} }

// Flood writes so many bytes without a newline to standard output (1) or standard error (2).
func Flood(fd int, bytes int64) Fault { return Fault{Kind: kindFlood, N: int64(fd), M: bytes} }

// Grandchild starts a process that holds all pipes of this one and lives for an hour, unless it is killed with the worker's process group.
func Grandchild() Fault { return Fault{Kind: kindGrandchild} }

// CloseLifeline closes the pipe from which the worker gets its calls. The call goes on; the worker ends when it looks for another one. One that is already
// waiting for it, as when a goroutine does this between calls, never looks: the pool ends it when it can write no further call or, if one lay there unread, as it does a frozen one.
func CloseLifeline() Fault { return Fault{Kind: kindCloseLifeline} }

// Befall makes all faults happen here and now, one after the other. It returns, if it returns at all, the first error. A number that
// a fault cannot have is one, such as 9 as the descriptor of a Flood.
func Befall(ctx context.Context, faults ...Fault) error {
	for _, f := range faults {
		if err := f.strike(ctx); err != nil {
			return err
		}
	}
	return nil
}

// check says what number the fault cannot have, if it has one of those.
func (f Fault) check() error {
	switch {
	case f.Kind == kindExit && (f.N < 0 || f.N > 255):
		return fmt.Errorf("pooltest: %v: the code must be from 0 to 255", f)
	case f.Kind == kindFlood && f.N != 1 && f.N != 2:
		return fmt.Errorf("pooltest: %v: fd must be 1 or 2", f)
	case f.Kind == kindFlood && f.M < 0, f.Kind == kindLeak && f.N < 0:
		return fmt.Errorf("pooltest: %v: bytes must not be negative", f)
	case f.Kind == kindSlow && f.N < 0:
		return fmt.Errorf("pooltest: %v: the time must not be negative", f)
	default:
		return nil
	}
}

func (f Fault) strike(ctx context.Context) error {
	if err := f.check(); err != nil {
		return err
	}
	switch f.Kind {
	case "":
	case kindError:
		return fmt.Errorf("%s: %w", f.Text, ErrInjected)
	case kindPanic:
		panic(f.Text)
	case kindPanicElsewhere:
		go panic(f.Text)
		forever()
	case kindGoexit:
		runtime.Goexit()
	case kindExit:
		os.Exit(int(f.N))
	case kindSignal:
		return signalSelf(syscall.Signal(f.N))
	case kindFreeze:
		return freezeSelf()
	case kindSegfault:
		var p *int
		go func() { *p = 1 }()
		forever()
	case kindOutOfMemory:
		for { // where addresses have 32 bits the first may be had
			hoard(make([]byte, askFor()))
		}
	case kindOverflow:
		debug.SetMaxStack(1 << 20) // it would take a while to fill
		runtime.KeepAlive(deeper(0))
	case kindHang:
		forever()
	case kindObey:
		<-ctx.Done()
		return ctx.Err()
	case kindSlow:
		select {
		case <-time.After(time.Duration(f.N)):
		case <-ctx.Done():
			return ctx.Err()
		}
	case kindWait:
		return stand(ctx, f.Text, "")
	case kindLurk:
		go func() { _ = stand(context.Background(), f.Text, lurking) }() // ends with the process, or when it is let pass
	case kindLeak:
		leak(f.N)
	case kindExhaustFiles:
		return exhaustFiles()
	case kindHalfFrame:
		frame := ipc.AppendNotification(nil, "half", "of this never comes")
		if err := writeRaw(frame[:len(frame)/2]); err != nil {
			return err
		}
		os.Exit(0)
	case kindGarbage:
		if err := writeRaw([]byte("Segmentation fault (but not really)\n")); err != nil {
			return err
		}
		forever()
	case kindOversize:
		if err := writeRaw([]byte{0xC1, 'c', 'f', 0x01, 0xFF, 0xFF, 0xFF, 0xFF}); err != nil {
			return err
		}
		forever()
	case kindFlood:
		return flood(int(f.N), f.M)
	case kindGrandchild:
		return startGrandchild()
	case kindCloseLifeline:
		return closeLifeline()
	default:
		return fmt.Errorf("pooltest: there is no fault of the kind %q", f.Kind)
	}
	return nil
}

// forever does not return. It sleeps, so that the runtime does not take the process for one that is stuck.
func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

func deeper(n int) int { return deeper(n+1) + 1 } //nolint:staticcheck // that it never ends is what it is for

// askFor is about half of the memory that there are addresses for, which is as much as the language lets a program ask for. Where it is no constant the compiler cannot object.
func askFor() int {
	const most = 1<<47 - 1
	return int(min(uint64(most), math.MaxInt))
}

// hoarded is what Leak and OutOfMemory keep.
var hoarded struct {
	sync.Mutex
	blocks [][]byte
}

func hoard(block []byte) {
	hoarded.Lock()
	defer hoarded.Unlock()
	hoarded.blocks = append(hoarded.blocks, block)
}

func leak(bytes int64) {
	const step, page = 1 << 20, 4096
	for ; bytes > 0; bytes -= step {
		block := make([]byte, min(bytes, step))
		for i := 0; i < len(block); i += page {
			block[i] = 1
		}
		hoard(block)
	}
}

func flood(fd int, bytes int64) error {
	out := os.Stdout
	if fd == 2 {
		out = os.Stderr
	}
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = 'x'
	}
	for ; bytes > 0; bytes -= int64(len(block)) {
		if _, err := out.Write(block[:min(bytes, int64(len(block)))]); err != nil {
			return err
		}
	}
	return nil
}
