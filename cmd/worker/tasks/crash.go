package tasks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A Crasher says how [Crash] ends the worker.
type Crasher struct {
	How    string `msgpack:"how"`    // exit, signal, panic, stack, memory or once
	Code   int    `msgpack:"code"`   // exit and once: the exit code
	Signal int    `msgpack:"signal"` // signal: its number; zero means 9
	File   string `msgpack:"file"`   // once: remembers that it has happened
}

// Crash ends the worker process. It returns only where that fails, or for a "once" that has happened.
var Crash = futures.NewFunc("crash", func(_ context.Context, c Crasher) (string, error) {
	switch c.How {
	case "exit":
		os.Exit(c.Code)
	case "signal":
		if c.Signal == 0 {
			c.Signal = int(syscall.SIGKILL)
		}
		return "", raise(syscall.Signal(c.Signal))
	case "panic":
		go panic("a goroutine of the worker panicked, as it was told to")
		time.Sleep(time.Hour) // the process ends meanwhile
	case "stack":
		debug.SetMaxStack(64 << 20) // a GiB otherwise, which takes a while
		return "", fmt.Errorf("the stack holds %d frames", overflow(1))
	case "memory":
		size := uint64(1) << 47 // more than a process may have, so none of it is ever used
		return "", fmt.Errorf("the system gave %d bytes", len(make([]byte, size)))
	case "once":
		return once(c)
	}
	return "", fmt.Errorf("how is %q: it must be exit, signal, panic, stack, memory or once", c.How)
})

// overflow calls itself until the runtime gives up.
func overflow(n int) int {
	if n < 0 {
		return 0
	}
	return overflow(n+1) + 1
}

// once exits if it is the first call with this file.
func once(c Crasher) (string, error) {
	f, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "survived", nil
	}
	if err != nil {
		return "", fmt.Errorf("file: %w", err)
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("file: %w", err)
	}
	os.Exit(c.Code)
	return "", nil
}
