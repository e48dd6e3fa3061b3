package procpool

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/seed7d1be1d5/concurrent/procpool/internal/confine"
)

// A Sandbox is what a worker can reach, for workers whose code is not trusted. The zero value is none: the worker can do what the user
// of this program can. Any field, or [PureCPU], makes one. It holds before the worker's first instruction, so also for the initialisers
// of its packages, and for all that it starts.
//
// In a sandbox a worker can calculate, and use its pipes and the memory it shares with this program. It has no privileges, reaches no
// process but its own, and can change no owners, modes, times or attributes of files, wherever they are. Every worker can execute and read its own
// program; read /dev/null, /dev/zero, /dev/random, /dev/urandom, /etc/localtime and the size of huge pages; and a program that is linked dynamically
// the libraries in /lib and /usr/lib. A script can execute and read the interpreter that its first line names as well, also as #!/usr/bin/env name, which is
// looked up in the PATH of its environment, and must be a binary; what that interpreter reads besides libraries, such as modules of its language elsewhere, is for Read. It can ask whether files exist, and for their sizes and times, anywhere.
//
// Its environment is Config.Env, and if that is nil it is empty but for what this package sets. SECURITY.md says what a sandbox does not stop.
type Sandbox struct {
	// Read lists files and folders that can be read, with all that is in them. They must exist when the pool is made.
	Read []string

	// Write lists files and folders in which the worker can do what it likes, but execute nothing and make no devices and sockets. They must exist when
	// the pool is made.
	Write []string

	// Network lets it use IP sockets, to any address. Sockets of the machine (AF_UNIX) stay closed.
	Network bool

	// Exec lets it start processes: copies of itself, and the programs in Read. It may signal them where Enforced has Sandbox.signals active.
	Exec bool

	on bool
}

// PureCPU is the Sandbox in which a worker has nothing but the processor and its pipes.
var PureCPU = Sandbox{on: true}

func (s Sandbox) active() bool {
	return s.on || s.Network || s.Exec || len(s.Read) > 0 || len(s.Write) > 0
}

// absolute copies it, with paths that do not depend on the working directory.
func (s Sandbox) absolute() (Sandbox, error) {
	for _, list := range []*[]string{&s.Read, &s.Write} {
		*list = slices.Clone(*list)
		for i, path := range *list {
			if path == "" {
				return s, fmt.Errorf("an empty path: write . for the working directory")
			}
			abs, err := filepath.Abs(path)
			if err != nil {
				return s, err
			}
			(*list)[i] = abs
		}
	}
	return s, nil
}

// confinement finds out how this machine can hold the workers of a pool; nil if there is nothing to hold them to.
func (c Config) confinement(program string) (*confine.Plan, error) {
	request := confine.Request{Limits: confine.Limits(c.Limits), Program: program, Path: c.path()}
	if s := c.Sandbox; s.active() {
		request.Sandbox = &confine.Sandbox{Read: s.Read, Write: s.Write, Network: s.Network, Exec: s.Exec}
	}
	plan, err := confine.New(request)
	if err != nil {
		return nil, fmt.Errorf("procpool: Config.Sandbox: %w", err)
	}
	if !c.Strict {
		return plan, nil
	}
	var missing []string
	for _, r := range c.restrictions(plan) {
		if !r.Active {
			missing = append(missing, r.Name+": "+r.How)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("procpool: Config.Strict: %w\n\t%s", ErrNotEnforced, strings.Join(missing, "\n\t"))
	}
	return plan, nil
}

// confined reports whether workers are held to anything.
func (c Config) confined() bool { return c.Sandbox.active() || c.Limits != Limits{} }

// environment is that of a worker, without what the handshake adds.
func (c Config) environment() []string {
	env := slices.Clone(c.Env)
	if env == nil && !c.Sandbox.active() {
		env = os.Environ()
	}
	if !c.confined() {
		return env
	}
	set := func(name string, value int64) { // unless the user has; what this program has of it is its own
		of := func(kv string) bool { return strings.HasPrefix(kv, name+"=") }
		if !slices.ContainsFunc(c.Env, of) {
			env = append(slices.DeleteFunc(env, of), name+"="+strconv.FormatInt(value, 10))
		}
	}
	if n := c.Limits.memoryLimit(); n > 0 {
		set("GOMEMLIMIT", n)
	}
	set("GOMAXPROCS", int64(c.processors()))
	return env
}

// path is where a worker looks programs up, which is there unless it is told.
func (c Config) path() string {
	path := "/bin:/usr/bin"
	for _, kv := range c.environment() { // the last one holds
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = value
		}
	}
	return path
}

// processors is a worker's share of those that this program may use. A worker needs two to hear of a cancel at once while a call calculates.
func (c Config) processors() int {
	all := runtime.GOMAXPROCS(0)
	return max(min(2, all), all/c.MaxWorkers)
}
