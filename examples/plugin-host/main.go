// Command plugin-host renders documents with a plugin by somebody else, which it knows only as a program and the name of a
// function. The plugin crashes, hangs and leaks; the host goes on, and tells which document was guilty of what:
//
//   - futures.Declare names a function whose body only the plugin has;
//   - procpool.Describe tells, before any work is given away, whose program it is and whether it offers the function;
//   - OnCrash: ReplaceWorker makes a crash the failure of the one call that was running;
//   - futures.Timeout and KillGrace end a call that hangs, whether the plugin listens or not;
//   - MaxTasksPerChild ends what leaks with the worker that leaks it;
//   - Env keeps the host's environment, and the secrets in it, from the plugin.
//
// The plugin is a module of its own, in the folder plugin. Build it there, and run the host with it:
//
//	(cd examples/plugin-host/plugin && go build -o /tmp/markup .)
//	go run ./examples/plugin-host -plugin /tmp/markup examples/plugin-host/testdata/*.txt
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// render is all that the host knows of the plugin.
var render = futures.Declare[string, string]("markup.Render")

func main() {
	plugin := flag.String("plugin", "", "the plugin's program")
	workers := flag.Int("workers", 2, "processes that run it at once")
	timeout := flag.Duration("timeout", time.Second, "how long it may take for one document")
	flag.Parse()
	config := procpool.Config{
		Worker:           procpool.Command(*plugin),
		MaxWorkers:       *workers,
		MaxTasksPerChild: 3,
		KillGrace:        100 * time.Millisecond,
		OnCrash:          procpool.ReplaceWorker,
		Env:              []string{}, // not nil: that would be ours
		Stderr:           os.Stderr,
	}
	if err := run(context.Background(), config, *timeout, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "plugin-host:", err)
		os.Exit(1)
	}
}

// run prints what became of each document, in their order.
func run(ctx context.Context, config procpool.Config, timeout time.Duration, paths []string) error {
	texts := make([]string, len(paths))
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		texts[i] = string(text)
	}
	plugin, err := procpool.Describe(ctx, config)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(plugin.Functions, func(f ipc.Function) bool { return f.Name == render.Name() }) {
		return fmt.Errorf("%s does not offer %s", plugin.Build, render.Name())
	}
	fmt.Printf("rendered by %s\n", plugin.Build)

	pool, err := procpool.New(config)
	if err != nil {
		return err
	}
	defer pool.Close() //nolint:errcheck // it has nothing to report
	i := 0
	for page, err := range futures.Map(ctx, pool, render, slices.Values(texts), futures.Timeout(timeout)) {
		fmt.Printf("%s: %s\n", paths[i], verdict(page, err))
		i++
	}
	stats := pool.Stats()
	fmt.Printf("%d workers were started: %d crashed, %d were replaced before they leaked too much\n", stats.Started, stats.Crashed, stats.Recycled)
	return nil
}

// verdict says what became of a document, and by whose fault. A crash is looked for last: the host itself kills a worker
// that hangs, and its end is then the consequence and not the reason.
func verdict(page string, err error) string {
	var refused *futures.TaskError
	var crash *procpool.WorkerCrashError
	switch {
	case err == nil:
		return page
	case errors.Is(err, futures.ErrTimeout):
		return "GUILTY of a hang: " + err.Error()
	case errors.As(err, &refused):
		return "refused: " + refused.Message
	case errors.As(err, &crash):
		return "GUILTY of a crash: " + err.Error()
	default:
		return "not rendered: " + err.Error()
	}
}
