//go:build unix

package pooltest

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// wire are the descriptors of the pipes to the pool; Tap moves them.
var wire = struct{ requests, responses int }{ipc.FDRequests, ipc.FDResponses}

// deadly are the signals that every Go program dies of, unless it asks not to.
var deadly = []syscall.Signal{
	syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGHUP, syscall.SIGILL, syscall.SIGINT, syscall.SIGKILL, syscall.SIGQUIT, syscall.SIGSEGV, syscall.SIGSYS,
	syscall.SIGTERM, syscall.SIGTRAP,
}

// ignored are those that this program was started with ignored, as by nohup, which signal.Reset leaves so.
var ignored = slices.DeleteFunc(slices.Clone(deadly), func(sig syscall.Signal) bool { return !signal.Ignored(sig) })

func signalSelf(sig syscall.Signal) error {
	if !slices.Contains(deadly, sig) {
		return fmt.Errorf("pooltest: Signal(%v): not every Go program dies of it", sig)
	}
	if slices.Contains(ignored, sig) {
		return fmt.Errorf("pooltest: Signal(%v): this program was started with it ignored, as by nohup, and does not die of it", sig)
	}
	signal.Reset(sig)
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		return fmt.Errorf("pooltest: send %v to this process: %w", sig, err)
	}
	forever()
	return nil
}

// freezeSelf returns when the process goes on. A thread may run on for a moment after the signal was sent.
func freezeSelf() error {
	goesOn := make(chan os.Signal, 1)
	signal.Notify(goesOn, syscall.SIGCONT)
	defer signal.Stop(goesOn)
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pooltest: stop this process: %w", err)
	}
	<-goesOn
	return nil
}

// spare are descriptors that exhaustFiles has left for what this package does itself: a process without any could not say where it is.
var spare struct {
	sync.Mutex
	fds []int
}

// borrowFile makes sure that a file can be opened. It is followed by giveBack when that is closed.
func borrowFile() (giveBack func()) {
	spare.Lock()
	defer spare.Unlock()
	n := len(spare.fds)
	if n == 0 {
		return func() {}
	}
	_ = syscall.Close(spare.fds[n-1]) // of /dev/null
	spare.fds = spare.fds[:n-1]
	return func() {
		spare.Lock()
		defer spare.Unlock()
		if fd, err := openNull(); err == nil {
			spare.fds = append(spare.fds, fd)
		}
	}
}

func openNull() (int, error) { return syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) }

// exhaustFiles lowers the limit first, so that it does not take a million files.
func exhaustFiles() error {
	const limited, spared = 64, 8
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = min(limit.Cur, limited)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	spare.Lock()
	defer spare.Unlock()
	for {
		fd, err := openNull()
		if err != nil {
			return nil // that is what it was for
		}
		if len(spare.fds) < spared {
			spare.fds = append(spare.fds, fd)
		}
	}
}

// writeRaw writes to the pool past everything that the worker keeps for it.
func writeRaw(b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(wire.responses, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("pooltest: write to the pool: %w", err)
		}
		b = b[n:]
	}
	return nil
}

func closeLifeline() error { return syscall.Close(wire.requests) }

func startGrandchild() error {
	cmd := exec.Command("sleep", "3600")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	for _, fd := range []int{wire.requests, wire.responses} {
		copied, err := duplicate(fd)
		if err != nil {
			return fmt.Errorf("pooltest: a process that holds the pipes: %w", err)
		}
		f := os.NewFile(uintptr(copied), "pipe")
		defer func() { _ = f.Close() }() // it is a copy
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("pooltest: a process that holds the pipes: %w", err)
	}
	return cmd.Process.Release()
}
