package procpool

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A CrashPolicy says what becomes of a pool when a worker ends unexpectedly.
type CrashPolicy uint8

const (
	// BreakPool fails every unfinished call and refuses new ones: Python's BrokenProcessPool (rows P40 to P44). Nothing is left
	// that could run a call again, so [futures.Retries] has no effect.
	BreakPool CrashPolicy = iota

	// ReplaceWorker fails the call that was running and goes on with the rest. It breaks the pool only when workers keep dying
	// without finishing a call in between: see Config.MaxCrashes.
	ReplaceWorker
)

func (p CrashPolicy) String() string {
	switch p {
	case BreakPool:
		return "BreakPool"
	case ReplaceWorker:
		return "ReplaceWorker"
	}
	return fmt.Sprintf("CrashPolicy(%d)", uint8(p))
}

// A WorkerCommand says how a worker is started. Make one with [Command] or [Self].
type WorkerCommand struct {
	path string
	args []string
	self bool
}

// Command starts the program at path, which is looked up like a shell would if it has no slash. The program calls
// worker.Main, or speaks PROTOCOL.md in another language.
func Command(path string, args ...string) WorkerCommand {
	return WorkerCommand{path: path, args: args}
}

// Self starts this program again. Its main begins with worker.MainIfWorker.
func Self() WorkerCommand { return WorkerCommand{self: true} }

func (c WorkerCommand) String() string {
	if c.self {
		return "procpool.Self()"
	}
	return strings.Join(append([]string{c.path}, c.args...), " ")
}

// resolve finds the program.
func (c WorkerCommand) resolve() (path string, args []string, err error) {
	if n := slices.IndexFunc(c.args, holdsNUL); n >= 0 {
		return "", nil, fmt.Errorf("argument %d has a NUL in it, which no program can get", n+1)
	}
	switch {
	case c.self:
		path, err := os.Executable()
		return path, nil, err
	case c.path == "":
		return "", nil, errors.New("it is not set: use procpool.Command or procpool.Self")
	}
	if path, err = exec.LookPath(c.path); err != nil {
		return "", nil, err
	}
	path, err = filepath.Abs(path) // Config.Dir must not change which program it is
	return path, c.args, err
}

func holdsNUL(s string) bool { return strings.ContainsRune(s, 0) }

// Config says how a pool works. Only Worker has no useful zero value.
type Config struct {
	// Worker is the program to run.
	Worker WorkerCommand

	// MaxWorkers is the number of calls that run at once, each in a process of its own. Zero means the CPUs this process may
	// use (GOMAXPROCS, which respects a cgroup's quota). Workers are started on demand, only when none is idle (row P5).
	MaxWorkers int

	// MaxTasksPerChild is the number of calls after which a worker is replaced, failed ones included. Its successor is started
	// before it leaves, so there may be up to twice MaxWorkers processes for a moment. Zero means no limit (rows P7 to P9).
	MaxTasksPerChild int

	// Initializer runs once in each worker before its first call. Its failure breaks the pool (row P45). Zero means none.
	Initializer futures.Bound

	// IdleTimeout is how long a worker may be without a call before it is let go. Zero means for ever.
	IdleTimeout time.Duration

	// StartTimeout bounds the start of a worker, its initializer included. Zero means 30 seconds.
	StartTimeout time.Duration

	// KillGrace is how long a call may go on after its ctx is done, and a worker after it was asked to leave, before the
	// worker is killed. Zero means 2 seconds.
	KillGrace time.Duration

	// OnCrash says what becomes of the pool when a worker ends unexpectedly. Zero means BreakPool.
	OnCrash CrashPolicy

	// MaxCrashes is the number of workers that may die in a row, without a call being finished in between, before a pool
	// with ReplaceWorker breaks. Workers that leave a call unstarted for 2 seconds, or KillGrace if that is more, are taken
	// for frozen and ended, and count with either policy. Zero means 10, or 3 times MaxWorkers if that is more; for a pool
	// that should never break use math.MaxInt.
	MaxCrashes int

	// MaxQueue is the number of calls that may wait for a worker before Submit waits itself. Zero means no limit.
	MaxQueue int

	// ArenaSize is how many bytes of memory each worker shares with this process for arguments and results of 32 KiB and more, half of them
	// for arguments and half for results. What finds no room in it travels through the pipe, which is slower. Memory is taken
	// as far as it is used, and given back when the worker leaves. Zero means 64 MiB; [NoArena] means none.
	ArenaSize int

	// MaxResult is how many bytes a result may have as it is encoded. The call of a longer one fails with an error that matches
	// futures.ErrNotShareable, and its worker goes on; a worker that sends a longer one nevertheless breaks the protocol and is
	// ended. Decoding takes a multiple of it: a few times that into most types, and into any more than a hundred times. So set it
	// for workers that may be hostile. Zero means 1 GiB, which is the most there can be; where Limits.Memory is enforced and less,
	// that is the bound.
	MaxResult int64

	// MaxRSS is how many bytes of memory a worker may have before it is replaced: the answer to leaks, while Limits.Memory is that to
	// floods. It is looked at between calls, ten times a second at most, and does not count what is shared with this program or read from files;
	// the worker finishes what it runs, and nobody notices but Stats. Zero means no limit. Linux only.
	MaxRSS int64

	// Limits bound what each worker may use. The zero value means no limits.
	Limits Limits

	// Sandbox is what a worker can reach. The zero value means what this process can; see [PureCPU].
	Sandbox Sandbox

	// Strict makes New refuse with [ErrNotEnforced] if this machine cannot enforce all of Limits, Sandbox and MaxRSS. Without it the
	// workers are held as far as it can, and [ProcessPoolExecutor.Enforced] says how far that is.
	Strict bool

	// Env is the environment of the workers, as NAME=value; as with exec.Cmd, what is not of that form is passed as well. Nil means
	// that of this process, or with a Sandbox none. With Limits or a Sandbox GOMAXPROCS (a worker's share of the processors, two at least) and GOMEMLIMIT (nine tenths of Limits.Memory) are
	// set, unless Env names them; what they are in this process does not count.
	Env []string

	// Dir is the working directory of the workers. One that is relative is so to the working directory of this process when the pool
	// is made. Empty means that of this process when a worker is started.
	Dir string

	// Stderr gets what the workers write to their standard output and standard error, as it comes; writes are serialised. A
	// Writer that blocks holds up the workers once their pipes are full; one that fails gets no more of that worker. Nil means
	// that it goes to Logger only.
	Stderr io.Writer

	// Logger hears of starts, ends and crashes, and gets the output of the workers line by line, at Debug. On standard error, lines of up to 8 KiB in the format
	// of hashicorp/go-hclog and lines that begin with [WARN] and the like keep their level, and what the Go runtime says as it dies ("panic: ",
	// "fatal error: " and all after it) is at Error. Nil means no logging.
	Logger *slog.Logger

	// Checksum is the SHA-256 of the worker program, which is compared before each start. Nil means that any program will do.
	Checksum []byte
}

const (
	defaultStartTimeout = 30 * time.Second
	defaultKillGrace    = 2 * time.Second
	defaultMaxCrashes   = 10
	defaultArenaSize    = 64 << 20
)

// NoArena as Config.ArenaSize makes every value travel through the pipe.
const NoArena = -1

const (
	minArenaSize = 1 << 20
	maxArenaSize = min(4<<30, math.MaxInt/2+1) // a gigabyte where addresses have 32 bits
)

// forever is long enough for everybody, and short enough to calculate with.
const forever = 10 * 365 * 24 * time.Hour

// complete checks every field and fills in the defaults. It reports all mistakes at once.
func (c Config) complete() (Config, error) {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("procpool: Config."+field+": "+format, args...))
	}
	for _, n := range []struct {
		field string
		value int64
	}{
		{"MaxWorkers", int64(c.MaxWorkers)},
		{"MaxTasksPerChild", int64(c.MaxTasksPerChild)},
		{"MaxQueue", int64(c.MaxQueue)},
		{"MaxCrashes", int64(c.MaxCrashes)},
		{"IdleTimeout", int64(c.IdleTimeout)},
		{"StartTimeout", int64(c.StartTimeout)},
		{"KillGrace", int64(c.KillGrace)},
		{"MaxResult", c.MaxResult},
		{"MaxRSS", c.MaxRSS},
	} {
		if n.value < 0 {
			bad(n.field, "%d is negative", n.value)
		}
	}
	if n := int64(c.ArenaSize); n != 0 && n != NoArena && (n < minArenaSize || n > maxArenaSize) {
		bad("ArenaSize", "%d bytes: it must be from %d to %d, zero for the default, or NoArena", n, minArenaSize, int64(maxArenaSize))
	}
	if c.MaxResult > ipc.MaxBody {
		bad("MaxResult", "%d bytes: it must be at most %d, or zero for that", c.MaxResult, ipc.MaxBody)
	}
	if c.OnCrash > ReplaceWorker {
		bad("OnCrash", "%v is no policy", c.OnCrash)
	}
	if c.Checksum != nil && len(c.Checksum) != sha256.Size {
		bad("Checksum", "it has %d bytes, a SHA-256 has %d", len(c.Checksum), sha256.Size)
	}
	if path, _, err := c.Worker.resolve(); err != nil {
		bad("Worker", "%w", err)
	} else if c.Worker.self && os.Getenv(ipc.CookieKey) == ipc.CookieValue {
		bad("Worker", "%s was started as a worker and would start itself without end: call worker.MainIfWorker first in main", path)
	}
	if err := c.Limits.check(); err != nil {
		errs = append(errs, err)
	}
	var err error
	if c.Sandbox, err = c.Sandbox.absolute(); err != nil {
		bad("Sandbox", "%w", err)
	}
	for n, kv := range c.Env {
		if holdsNUL(kv) {
			name := kv[:max(0, strings.Index(kv, "="))] // the value may be secret
			bad("Env", "entry %d (%q) has a NUL in it", n, name)
		}
	}
	if c.Dir != "" {
		var info os.FileInfo
		if c.Dir, err = filepath.Abs(c.Dir); err == nil {
			info, err = os.Stat(c.Dir)
		}
		if err != nil {
			bad("Dir", "%w", err)
		} else if !info.IsDir() {
			bad("Dir", "%s is not a directory", c.Dir)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c, err
	}
	c.Env, c.Checksum = slices.Clone(c.Env), slices.Clone(c.Checksum) // the pool reads them whenever it starts a worker
	if c.MaxWorkers == 0 {
		c.MaxWorkers = runtime.GOMAXPROCS(0)
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = defaultStartTimeout
	}
	if c.KillGrace == 0 {
		c.KillGrace = defaultKillGrace
	}
	c.MaxWorkers, c.KillGrace = min(c.MaxWorkers, mostProcesses), min(c.KillGrace, forever)
	if c.MaxCrashes == 0 {
		c.MaxCrashes = max(defaultMaxCrashes, 3*c.MaxWorkers)
	}
	switch c.ArenaSize {
	case 0:
		c.ArenaSize = defaultArenaSize
	case NoArena:
		c.ArenaSize = 0
	default:
		c.ArenaSize = (c.ArenaSize + 4095) &^ 4095
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
