package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// Main serves fns to the host that started this process, or this interpreter, and exits when the host lets go of it. Started by hand
// the program says what it is, and exits with status 2.
//
// A Func that is only declared is not offered. Main panics if two Funcs have one name.
func Main(fns ...futures.Callable) {
	table := offer(fns)
	if !startedAsWorker() {
		fmt.Fprint(os.Stderr, introduction(filepath.Base(os.Args[0]), table))
		os.Exit(2)
	}
	if err := serve(table); err != nil {
		fmt.Fprintf(os.Stderr, "worker: %v\n", err)
		os.Exit(3)
	}
	os.Exit(0)
}

// MainIfWorker is [Main] in a process that a pool with procpool.Self has started, and returns at once in any other. It
// belongs at the beginning of main, before flags are parsed and anything is started; in tests, at the beginning of TestMain.
func MainIfWorker(fns ...futures.Callable) {
	if startedAsWorker() {
		Main(fns...)
	}
}

// RegisterError gives a sentinel error a code under which it keeps its identity between processes: where host and worker
// both register it, errors.Is finds it in the *futures.TaskError of a call. It belongs into an init function, or into a
// package that both import. It panics if the code is empty or stands for another error, or err is nil.
//
// The sentinels of the packages context, io and io/fs that calls commonly return are registered already.
func RegisterError(code string, err error) { ipc.RegisterError(code, err) }

// offered is what a worker can do, in the order in which it was said.
type offered struct {
	list   []ipc.Function
	byName map[string]futures.Callable
}

func offer(fns []futures.Callable) offered {
	table := offered{byName: make(map[string]futures.Callable, len(fns))}
	for _, fn := range fns {
		if !fn.HasBody() {
			continue
		}
		if _, twice := table.byName[fn.Name()]; twice {
			panic(fmt.Sprintf("worker.Main: two Funcs are named %q", fn.Name()))
		}
		in, out := fn.Types()
		table.byName[fn.Name()] = fn
		table.list = append(table.list, ipc.Function{Name: fn.Name(), In: ipc.Fingerprint(in), Out: ipc.Fingerprint(out)})
	}
	return table
}

// introduction is for a human who started a worker by hand.
func introduction(program string, table offered) string {
	var b strings.Builder
	fmt.Fprintf(&b, `%[1]s is a worker: a program that runs functions for another program, which starts it and talks to it over pipes.
It does nothing when started by hand. Start it from Go with

	pool, err := procpool.New(procpool.Config{Worker: procpool.Command(%[2]q)})

or try it with

	procpool map -worker %[2]s -func NAME < in.jsonl

It offers:
`, program, os.Args[0])
	for _, fn := range table.list {
		fmt.Fprintf(&b, "\t%s(%s) %s\n", fn.Name, fn.In, fn.Out)
	}
	return b.String()
}

// checkVersion answers the host's list of protocol versions, which go-plugin puts into the environment.
func checkVersion(versions string) error {
	for _, v := range strings.Split(versions, ",") {
		if n, err := strconv.Atoi(v); err == nil && n == ipc.Version {
			return nil
		}
	}
	return fmt.Errorf("the host speaks version %q of the protocol and this worker version %d: build both from the same release", versions, ipc.Version)
}

// forgetHost takes the marks of being a worker out of the environment, so that a program that the functions start does not
// believe that it is one.
func forgetHost() {
	for _, kv := range os.Environ() {
		if key, _, _ := strings.Cut(kv, "="); key == ipc.CookieKey || strings.HasPrefix(key, "PLUGIN_") {
			_ = os.Unsetenv(key) // fails only for a name that cannot be
		}
	}
}
