//go:build linux

package procpool_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// This file is the worker: everything in it but the names of the functions runs in processes of its own.

var workerFuncs = []futures.Callable{
	echo, pid, hold, spin, desert, mark, perish, answerAndPerish, flood, grandchild, shell, await, fail, ignoreTerm,
	initialize, runSelf, stdinOf, closeOnTerm, printLines, initializeAndTell,
	markAndPerish, markOrPerish, perishAt, echoBytes, dieOnce,
	tallies[0], tallies[1], tallies[2], tallies[3], holdOrTally,
	carryBytes, carryParcel, carryText,
	double, mallocs,
	napHoldOrTally,
	weigh,
}

// none is the argument of functions that need none.
type none struct{}

var echo = futures.NewFunc("test.Echo", func(_ context.Context, s string) (string, error) { return s, nil })

var echoBytes = futures.NewFunc("test.EchoBytes", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })

// once is the argument of dieOnce.
type once struct {
	File string // of marks: the worker dies if it is empty
	Text string
}

// dieOnce kills its worker the first time, and returns the text the second time.
var dieOnce = futures.NewFunc("test.DieOnce", func(ctx context.Context, o once) (string, error) {
	marks, err := os.ReadFile(o.File)
	if err != nil || len(marks) > 0 {
		return o.Text, err
	}
	if _, err := mark.Call(ctx, marking{File: o.File}); err != nil {
		return "", err
	}
	return "", syscall.Kill(os.Getpid(), syscall.SIGKILL)
})

var pid = futures.NewFunc("test.PID", func(context.Context, none) (int, error) { return os.Getpid(), nil })

// held is the argument of hold and spin.
type held struct {
	Gate string // where it says that it has begun, and waits to be let go
	Deaf bool   // to its ctx
}

// hold says that it has begun and waits to be let go. It returns its pid.
var hold = futures.NewFunc("test.Hold", func(ctx context.Context, h held) (int, error) {
	if err := announce(h.Gate, os.Getpid()); err != nil {
		return 0, err
	}
	released := make(chan error, 1)
	go func() { // ends with the process if it is never let go
		f, err := os.Open(h.Gate + releaseSuffix)
		if err == nil {
			_, err = f.Read(make([]byte, 1))
			err = errors.Join(err, f.Close())
		}
		released <- err
	}()
	if h.Deaf {
		return os.Getpid(), ignoreCtx(released)
	}
	select {
	case err := <-released:
		return os.Getpid(), err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
})

// spin says that it has begun and computes for ever.
var spin = futures.NewFunc("test.Spin", func(_ context.Context, h held) (int, error) {
	if err := announce(h.Gate, os.Getpid()); err != nil {
		return 0, err
	}
	spinWithoutEnd()
	return 0, nil
})

// desert leaves the worker's process group for that of its host, and then is spin. It does not say what it is doing if it is deaf.
var desert = futures.NewFunc("test.Desert", func(ctx context.Context, h held) (int, error) {
	if h.Deaf {
		signal.Ignore(syscall.SIGQUIT)
	}
	group, err := syscall.Getpgid(os.Getppid())
	if err == nil {
		err = syscall.Setpgid(0, group)
	}
	if err != nil {
		return 0, err
	}
	return spin.Call(ctx, h)
})

// These two have names that a stack shows.

//go:noinline
func ignoreCtx(released <-chan error) error { return <-released }

//go:noinline
func spinWithoutEnd() {
	for n := 0; ; n++ {
		runtime.KeepAlive(n)
	}
}

func announce(gate string, what any) error {
	f, err := os.OpenFile(gate, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, what)
	return errors.Join(err, f.Close())
}

// marking is the argument of mark.
type marking struct {
	File string
	N    int
	Nap  time.Duration // after the mark
}

// mark leaves a line in a file: appends of this size are atomic.
var mark = futures.NewFunc("test.Mark", func(_ context.Context, m marking) (int, error) {
	f, err := os.OpenFile(m.File, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fprintf(f, "%d %d\n", m.N, os.Getpid())
	if m.Nap > 0 {
		time.Sleep(m.Nap)
	}
	return m.N, errors.Join(err, f.Close())
})

// fate is the argument of perish.
type fate struct {
	Way string
	N   int
}

// perish ends its process, or breaks the protocol.
var perish = futures.NewFunc("test.Perish", func(_ context.Context, f fate) (int, error) {
	fmt.Fprintf(os.Stderr, "about to perish: %s %d\n", f.Way, f.N)
	switch f.Way {
	case "signal":
		signal.Reset(syscall.Signal(f.N))
		if err := syscall.Kill(os.Getpid(), syscall.Signal(f.N)); err != nil {
			return 0, err
		}
		select {}
	case "nil":
		var p *int
		go func() { *p = 1 }()
		select {}
	case "exit":
		os.Exit(f.N)
	case "panic in a crowd":
		for range f.N {
			go func() { select {} }() // ends with the process
		}
		go func() { panic("nobody is here to catch it") }()
		select {}
	case "panic elsewhere":
		go panic("nobody is here to catch it")
		select {}
	case "overflow":
		debug.SetMaxStack(1 << 20) // it would take a while to fill
		return deeper(f.N), nil
	case "garbage":
		writeRaw([]byte("Segmentation fault (but not really)\n"))
		select {}
	case "half a frame":
		frame := ipc.AppendNotification(nil, "half", "of this never comes")
		writeRaw(frame[:len(frame)/2])
		os.Exit(0)
	case "half a head":
		writeRaw(ipc.AppendNotification(nil, "half", 0)[:5])
		os.Exit(0)
	case "too large":
		writeRaw(binary.BigEndian.AppendUint32([]byte{0xC1, 'c', 'f', 0x01}, 1<<32-1))
		select {}
	case "unasked answer":
		frame, err := ipc.AppendResult(nil, uint64(f.N), &f.N, ipc.MaxBody)
		if err != nil {
			return 0, err
		}
		writeRaw(frame)
		select {}
	case "request":
		writeRaw(ipc.AppendRequest(nil, 1, "host.Function", ipc.Meta{}, []byte{0xC0}))
		select {}
	case "close":
		if err := syscall.Close(ipc.FDResponses); err != nil {
			return 0, err
		}
		select {}
	}
	return 0, fmt.Errorf("no such way to perish: %s %d", f.Way, f.N)
})

func deeper(n int) int { return deeper(n+1) + 1 } //nolint:staticcheck // that it never ends is what it is for

// writeRaw writes to the descriptor of the responses past everything that the worker keeps for it.
func writeRaw(b []byte) {
	for len(b) > 0 {
		n, err := syscall.Write(ipc.FDResponses, b)
		if err != nil {
			panic(err)
		}
		b = b[n:]
	}
}

// markAndPerish leaves a mark and ends its process.
var markAndPerish = futures.NewFunc("test.MarkAndPerish", func(ctx context.Context, file string) (none, error) {
	if _, err := mark.Call(ctx, marking{File: file}); err != nil {
		return none{}, err
	}
	os.Exit(7)
	return none{}, nil
})

// ordeal is the argument of markOrPerish.
type ordeal struct {
	Mark marking
	Fate fate
}

// markOrPerish leaves a mark, or perishes if there is a fate.
var markOrPerish = futures.NewFunc("test.MarkOrPerish", func(ctx context.Context, o ordeal) (int, error) {
	if o.Fate.Way != "" {
		return perish.Call(ctx, o.Fate)
	}
	return mark.Call(ctx, o.Mark)
})

// perishAt ends its process for a negative number.
var perishAt = futures.NewFunc("test.PerishAt", func(_ context.Context, n int) (int, error) {
	if n < 0 {
		os.Exit(7)
	}
	return n, nil
})

// answerAndPerish is the first call of its worker: it writes its own answer and exits in one go, so that host and end race.
var answerAndPerish = futures.NewFunc("test.AnswerAndPerish", func(_ context.Context, answer string) (string, error) {
	frame, err := ipc.AppendResult(nil, 1, &answer, ipc.MaxBody)
	if err != nil {
		return "", err
	}
	writeRaw(frame)
	os.Exit(0)
	return "", nil
})

// flooding is the argument of flood.
type flooding struct {
	FD   int
	Size int
}

// flood writes to a descriptor without a newline.
var flood = futures.NewFunc("test.Flood", func(_ context.Context, f flooding) (int, error) {
	block := []byte(strings.Repeat("x", 64<<10))
	written := 0
	for written < f.Size {
		n, err := syscall.Write(f.FD, block[:min(len(block), f.Size-written)])
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
})

// printLines writes each line to standard output, with a mark, and to standard error as it is.
var printLines = futures.NewFunc("test.PrintLines", func(_ context.Context, lines []string) (none, error) {
	for _, l := range lines {
		fmt.Println("out " + l)
		fmt.Fprintln(os.Stderr, l)
	}
	return none{}, nil
})

// lineage is the argument of grandchild.
type lineage struct {
	Gate    string // hears the grandchild's pid
	Escape  bool   // into a session of its own, where no signal to the group reaches it
	Perish  fate   // what the worker does then; the zero value: nothing
	Seconds string // that it lives
}

// grandchild starts a process that holds the worker's standard output and standard error.
var grandchild = futures.NewFunc("test.Grandchild", func(_ context.Context, l lineage) (int, error) {
	responses, err := syscall.Dup(ipc.FDResponses) // as a program in another language may leave it open
	if err != nil {
		return 0, err
	}
	pipe := os.NewFile(uintptr(responses), "responses")
	cmd := exec.Command("sleep", l.Seconds)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdout, os.Stderr, []*os.File{pipe}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: l.Escape}
	if err := errors.Join(cmd.Start(), pipe.Close()); err != nil {
		return 0, err
	}
	if err := announce(l.Gate, cmd.Process.Pid); err != nil {
		return 0, err
	}
	if l.Perish.Way != "" {
		return perish.Call(context.Background(), l.Perish)
	}
	return cmd.Process.Pid, nil
})

// shell runs a command and returns what it prints.
var shell = futures.NewFunc("test.Shell", func(ctx context.Context, script string) (string, error) {
	out, err := exec.CommandContext(ctx, "/bin/sh", "-c", script).CombinedOutput()
	return string(out), err
})

// runSelf runs this very program, which must not take itself for a worker.
var runSelf = futures.NewFunc("test.RunSelf", func(ctx context.Context, args []string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, self, args...).CombinedOutput()
	return string(out), err
})

var stdinOf = futures.NewFunc("test.Stdin", func(context.Context, none) (string, error) {
	name, err := os.Readlink("/proc/self/fd/0")
	if err != nil {
		return "", err
	}
	n, err := os.Stdin.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, io.EOF) {
		return name, fmt.Errorf("read %d bytes: %w", n, err)
	}
	return name, nil
})

// await waits for its ctx to be done, tells why, and returns the ctx's error.
var await = futures.NewFunc("test.Await", func(ctx context.Context, gate string) (int, error) {
	_, bounded := ctx.Deadline()
	if err := announce(gate, fmt.Sprintf("deadline: %v", bounded)); err != nil {
		return 0, err
	}
	<-ctx.Done()
	if err := announce(gate, context.Cause(ctx)); err != nil {
		return 0, err
	}
	return 0, ctx.Err()
})

var (
	errKnown   = errors.New("known on both sides")
	errUnknown = errors.New("known to nobody")
)

func init() { worker.RegisterError("test.errKnown", errKnown) }

// fail fails.
var fail = futures.NewFunc("test.Fail", func(_ context.Context, how string) (int, error) {
	switch how {
	case "known":
		return 0, fmt.Errorf("wrapped: %w", errKnown)
	case "unknown":
		return 0, errUnknown
	case "joined":
		return 0, errors.Join(errUnknown, fmt.Errorf("deep: %w", fmt.Errorf("deeper: %w", errKnown)))
	case "not exist":
		_, err := os.Open("/does/not/exist")
		return 0, err
	case "panic":
		panicDeepInside()
	case "panic with error":
		panic(fmt.Errorf("thrown: %w", errKnown))
	case "goexit":
		runtime.Goexit()
	}
	return 0, nil
})

func panicDeepInside() { panic("a remote panic") }

// ignoreTerm makes the worker deaf to SIGTERM from then on.
var ignoreTerm = futures.NewFunc("test.IgnoreTerm", func(context.Context, none) (none, error) {
	signal.Ignore(syscall.SIGTERM)
	return none{}, nil
})

// closeOnTerm waits for a SIGTERM, says so and goes on waiting.
var closeOnTerm = futures.NewFunc("test.CloseOnTerm", func(_ context.Context, gate string) (none, error) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if err := announce(gate, os.Getpid()); err != nil {
		return none{}, err
	}
	<-term
	if err := announce(gate, "SIGTERM"); err != nil {
		return none{}, err
	}
	select {}
})

// preparation is the argument of the initializer.
type preparation struct {
	File string // gets a mark
	Way  string
	Fate fate
}

// initialize prepares the worker, or not.
var initialize = futures.NewFunc("test.Initialize", func(ctx context.Context, p preparation) (none, error) {
	if p.File != "" {
		if _, err := mark.Call(ctx, marking{File: p.File}); err != nil {
			return none{}, err
		}
	}
	switch p.Way {
	case "fail":
		return none{}, errKnown
	case "panic":
		panicDeepInside()
	case "hang":
		select {}
	case "perish":
		_, err := perish.Call(ctx, p.Fate)
		return none{}, err
	}
	return none{}, nil
})

// preparing is the argument of initializeAndTell.
type preparing struct{ Gate, File string }

// initializeAndTell says at the gate that it prepares the worker.
var initializeAndTell = futures.NewFunc("test.InitializeAndTell", func(ctx context.Context, p preparing) (none, error) {
	if err := announce(p.Gate, os.Getpid()); err != nil {
		return none{}, err
	}
	return initialize.Call(ctx, preparation{File: p.File})
})

// startVar makes a worker misbehave before it has shaken hands, where package initialisers run.
const startVar = "PROCPOOL_TEST_START"

func init() {
	if os.Getenv(ipc.CookieKey) == "" {
		return
	}
	switch os.Getenv(startVar) {
	case "chatter":
		fmt.Println("loading configuration")
		fmt.Print("1|2 is no handshake\n|||||\n", strings.Repeat("no newline ", 20_000), "\n")
		fmt.Fprintln(os.Stderr, "a warning")
	case "flood":
		if _, err := flood.Call(context.Background(), flooding{FD: 1, Size: 1 << 20}); err != nil {
			os.Exit(9)
		}
		fmt.Println()
	case "hang":
		fmt.Fprintln(os.Stderr, "waiting for a licence server")
		select {}
	case "die":
		fmt.Fprintln(os.Stderr, "cannot find my licence")
		os.Exit(7)
	case "panic":
		panic("cannot initialise")
	case "main":
		worker.Main(workerFuncs...)
	case "other cookie":
		if err := os.Setenv(ipc.CookieKey, "of another project"); err != nil {
			os.Exit(9)
		}
		worker.Main(workerFuncs...)
	case "other core protocol":
		fmt.Println("9|1|unix|nowhere|netrpc")
		select {}
	case "other version":
		fmt.Println("1|99|unix|nowhere|netrpc")
		select {}
	case "offered other version":
		if err := os.Setenv("PLUGIN_PROTOCOL_VERSIONS", "98,99"); err != nil {
			os.Exit(9)
		}
	case "other network":
		fmt.Println("1|1|carrier-pigeon|nowhere|netrpc")
		select {}
	case "handshake then exit":
		fmt.Println(ipc.HandshakeLine)
		fmt.Fprintln(os.Stderr, "changed my mind")
		os.Exit(5)
	case "handshake then silence":
		fmt.Println(ipc.HandshakeLine)
		select {}
	case "handshake then garbage":
		fmt.Println(ipc.HandshakeLine)
		writeRaw([]byte("hello, I speak no msgpack\n"))
		select {}
	case "another message than hello":
		fmt.Println(ipc.HandshakeLine)
		writeRaw(ipc.AppendNotification(nil, "good morning", ipc.HelloParam{Protocol: ipc.Version, PID: os.Getpid()}))
		select {}
	case "hello without end":
		fmt.Println(ipc.HandshakeLine)
		writeRaw(ipc.AppendNotification(nil, ipc.Hello, ipc.HelloParam{Protocol: ipc.Version, PID: os.Getpid(), Build: strings.Repeat("x", ipc.MaxHello)}))
		select {}
	case "hello of another version":
		fmt.Println(ipc.HandshakeLine)
		writeRaw(ipc.AppendNotification(nil, ipc.Hello, ipc.HelloParam{Protocol: 42, PID: os.Getpid(), Build: "from the future"}))
		select {}
	}
}

// weigh returns how much memory the worker uses besides its argument, once that is no more than a quarter of it, or after a while.
var weigh = futures.NewFunc("test.Weigh", func(_ context.Context, b []byte) (int, error) {
	for deadline := time.Now().Add(patience / 2); ; time.Sleep(10 * time.Millisecond) {
		if n := heap() - len(b); n < len(b)/4 || time.Now().After(deadline) {
			return n, nil
		}
	}
})
