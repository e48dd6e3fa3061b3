package interpreters

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// Config says what an interpreter may have. The zero value grants nothing but time, randomness and some memory: no files, no
// environment, no network, no output.
type Config struct {
	// MemoryLimit is how much memory the guest may have, in bytes. It dies of OutOfMemory when it wants more; before, its collector works harder to
	// stay below. Zero means 256 MiB, or ImageConfig.MaxMemory if that is less. A Go program needs some 4 MiB to begin with. What it has put into
	// queues and nobody has taken counts on its own, up to the same limit.
	MemoryLimit uint64

	// Grace is how long a call may go on when its ctx is done, before the interpreter is stopped for good. Zero means 100 ms; less than zero means
	// no time at all.
	Grace time.Duration

	// Fuel is how much the guest may compute in its life, in steps of some 16,000 rounds of loops or calls of functions. When it is used up the
	// interpreter dies, with ErrOutOfFuel. Zero means no limit.
	Fuel uint64

	// Stdin is the guest's standard input; nil means that it is empty. The guest stands still while it reads there. A read that blocks outlives
	// a guest that is stopped: whoever gives a reader sees to its end.
	Stdin io.Reader

	// Stdout and Stderr get what the guest writes, while it waits; nil drops it. A write that blocks keeps the guest from being stopped. The end of the
	// standard error is kept for [Died] in any case.
	Stdout, Stderr io.Writer

	// Env is the guest's environment, as "NAME=value".
	Env []string

	// FS is what the guest sees as its file system, to read. Nil means that it has none. os.DirFS follows symbolic links that lead out of its folder; the FS of
	// an [os.Root] does not. A guest may have 256 files open at a time.
	FS fs.FS

	// HostFuncs are functions of this program that the guest may call, by worker.CallHost. They run in the goroutine that runs the guest, which
	// stands still meanwhile; their ctx is done when the call's is, and when the interpreter is killed. They must return, and not leave by
	// runtime.Goexit.
	HostFuncs []futures.Callable
}

const (
	defaultMemoryLimit = 256 << 20
	defaultGrace       = 100 * time.Millisecond
)

// complete checks c and fills in what is zero.
func (c Config) complete(maxMemory uint64) (Config, error) {
	var errs []error
	if c.MemoryLimit == 0 {
		c.MemoryLimit = min(defaultMemoryLimit, maxMemory)
	}
	if c.MemoryLimit > maxMemory {
		errs = append(errs, fmt.Errorf("interpreters: Config.MemoryLimit is %d: the image was loaded with a ImageConfig.MaxMemory of %d", c.MemoryLimit, maxMemory))
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	for _, kv := range c.Env {
		if name, _, ok := strings.Cut(kv, "="); !ok || name == "" || strings.ContainsRune(kv, 0) {
			errs = append(errs, fmt.Errorf("interpreters: Config.Env: %q is not of the form NAME=value", kv))
		}
	}
	seen := map[string]bool{}
	for _, fn := range c.HostFuncs {
		switch {
		case fn == nil || !fn.HasBody():
			errs = append(errs, fmt.Errorf("interpreters: Config.HostFuncs: %w", futures.ErrNoBody))
		case seen[fn.Name()]:
			errs = append(errs, fmt.Errorf("interpreters: Config.HostFuncs: two Funcs are named %q", fn.Name()))
		default:
			seen[fn.Name()] = true
		}
	}
	return c, errors.Join(errs...)
}

func (c *Config) granted(name string) futures.Callable {
	for _, fn := range c.HostFuncs {
		if fn.Name() == name {
			return fn
		}
	}
	return nil
}
