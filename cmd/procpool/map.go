package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/internal/harmless"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

func mapCommand() *cli.Command {
	return &cli.Command{
		Name:        "map",
		Usage:       "call a function for every line of JSON on standard input",
		UsageText:   "procpool map -worker PROGRAM -func NAME [options] [-- ARGUMENT...] < in.jsonl > out.jsonl",
		Description: strings.TrimSpace(mapHelp),
		Flags: append([]cli.Flag{
			workerFlag(),
			&cli.StringFlag{Name: "func", Usage: "the `NAME` of the function, one of those that procpool funcs lists", Required: true},
		}, poolFlags()...),
		Action: mapLines,
	}
}

// poolFlags are those of every command that runs a batch.
func poolFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "workers", Usage: "`N` processes at most; 0 means the CPUs this process may use"},
		&cli.IntFlag{Name: "chunk", Usage: "hand `N` lines to a worker together; 0 means as many as measured durations suggest"},
		&cli.IntFlag{Name: "ahead", Usage: "begin at most `N` lines before the oldest is written", Value: 1024},
		&cli.DurationFlag{Name: "timeout", Usage: "end a call that takes longer than `D`, such as 500ms or 1m; 0 means never"},
		&cli.DurationFlag{Name: "kill-grace", Usage: "kill the worker of a call that goes on for `D` after its timeout; 0 means 2s"},
		&cli.IntFlag{Name: "retries", Usage: "run a call up to `N` times again after its worker crashed"},
		&cli.StringFlag{Name: "on-crash", Usage: "break: a crash ends the batch; replace: it fails its own line, and a new worker goes on", Value: "replace"},
		&cli.IntFlag{Name: "max-tasks", Usage: "replace each worker after `N` calls; 0 means never"},
		&cli.StringFlag{Name: "progress", Usage: "a bar on standard error: auto (on a terminal), always or never", Value: "auto"},
		&cli.StringFlag{Name: "worker-output", Usage: "what workers print: show it on standard error, with a ? for what a terminal would obey, or hide it", Value: "show"},
		&cli.BoolFlag{Name: "quiet", Usage: "no closing table"},
	}
}

// settings are the flags of a batch, checked.
type settings struct {
	config   procpool.Config
	options  []futures.CallOption
	chunk    int
	ahead    int
	progress bool
	quiet    bool
}

func settingsOf(c *cli.Command) (settings, error) {
	s := settings{
		config: procpool.Config{
			Worker:           workerOf(c),
			MaxWorkers:       c.Int("workers"),
			MaxTasksPerChild: c.Int("max-tasks"),
			KillGrace:        c.Duration("kill-grace"),
		},
		chunk: max(1, c.Int("chunk")),
		ahead: max(c.Int("ahead"), 2*c.Int("chunk")),
		quiet: c.Bool("quiet"),
	}
	for _, name := range []string{"workers", "chunk", "retries", "max-tasks", "ahead"} {
		if c.Int(name) < 0 {
			return s, fail(exitUsage, "-%s %d: it must not be negative", name, c.Int(name))
		}
	}
	if c.Int("ahead") == 0 {
		return s, fail(exitUsage, "-ahead 0: it must be at least 1")
	}
	for _, name := range []string{"timeout", "kill-grace"} {
		if c.Duration(name) < 0 {
			return s, fail(exitUsage, "-%s %v: it must not be negative", name, c.Duration(name))
		}
	}
	if d := c.Duration("timeout"); d > 0 {
		s.options = append(s.options, futures.Timeout(d))
	}
	if n := c.Int("retries"); n > 0 {
		s.options = append(s.options, futures.Retries(n))
	}
	switch c.String("on-crash") {
	case "break":
		s.config.OnCrash = procpool.BreakPool
	case "replace":
		s.config.OnCrash = procpool.ReplaceWorker
	default:
		return s, fail(exitUsage, "-on-crash %s: it must be break or replace", c.String("on-crash"))
	}
	switch c.String("progress") {
	case "auto":
		s.progress = term.IsTerminal(int(os.Stderr.Fd()))
	case "always":
		s.progress = true
	case "never":
	default:
		return s, fail(exitUsage, "-progress %s: it must be auto, always or never", c.String("progress"))
	}
	switch c.String("worker-output") {
	case "show":
		s.config.Stderr = harmless.NewWriter(os.Stderr)
	case "hide":
	default:
		return s, fail(exitUsage, "-worker-output %s: it must be show or hide", c.String("worker-output"))
	}
	return s, nil
}

func mapLines(ctx context.Context, c *cli.Command) error {
	s, err := settingsOf(c)
	if err != nil {
		return err
	}
	d, err := describe(ctx, s.config.Worker, s.config.Stderr)
	if err == nil {
		err = find(d, s.config.Worker, c.String("func"))
	}
	if err != nil {
		return err
	}
	j := job{settings: s, function: c.String("func"), input: os.Stdin, output: os.Stdout, total: -1}
	if s.progress {
		if n, ok := countLines(os.Stdin); ok {
			j.total = n
		}
	}
	tally, cost, err := j.run()
	if err != nil {
		return err
	}
	if !s.quiet {
		var t table
		t.addItems("items", tally)
		t.addTimes(cost, tally.items)
		t.writeTo(os.Stderr)
	}
	return verdict(tally)
}

// A job is a batch with all that is needed around it.
type job struct {
	settings
	function string
	input    io.Reader
	output   io.Writer
	total    int64 // items in the input; negative if unknown
}

// A cost is what a job took.
type cost struct {
	workers            int
	wall               time.Duration
	workersCPU, ownCPU time.Duration
	stats              procpool.Stats
}

// run runs the job and returns when no process of it is left.
func (j job) run() (*tally, *cost, error) {
	var bar *progress
	if j.progress {
		bar = startProgress(os.Stderr, j.function, j.total)
	}
	defer bar.end()
	if j.config.Stderr != nil {
		j.config.Stderr = harmless.NewWriter(bar.beside(os.Stderr))
	}
	pool, err := procpool.New(j.config)
	if err != nil {
		return nil, nil, fail(exitUsage, "%v", err)
	}
	stopping, stop := context.WithCancel(context.Background())
	defer stop()
	b := &batch{
		pool:     pool,
		function: futures.Declare[any, any](j.function),
		options:  j.options,
		chunk:    j.chunk,
		ahead:    j.ahead,
		input:    j.input,
		output:   j.output,
		progress: bar,
		stopping: stopping,
		stop:     stop,
	}
	c := &cost{workers: j.config.MaxWorkers}
	if c.workers == 0 {
		c.workers = availableCPUs()
	}
	start, workersCPU, own := time.Now(), childrenCPU(), ownCPU()
	signals := handleSignals(pool, stop, bar.beside(os.Stderr))
	b.killed = signals.killed.Load
	b.run()
	_ = pool.Close() // it waits without a bound, so it has nothing to report
	signals.release()
	b.tally.signal = signals.code()
	c.wall = time.Since(start)
	c.workersCPU, c.ownCPU = childrenCPU()-workersCPU, ownCPU()-own
	c.stats = pool.Stats()
	return &b.tally, c, nil
}

// verdict says on which note the batch ends.
func verdict(t *tally) error {
	whole := t.ended && t.notDone == 0 && t.broken == nil
	undone := ""
	switch {
	case t.notDone > 0:
		undone = fmt.Sprintf("; %s of the lines taken were not done, the first of them line %d; after line %d nothing was taken",
			grouped(t.notDone), t.firstOff+1, t.items)
	case !whole:
		undone = fmt.Sprintf("; after line %d nothing was taken", t.items)
	}
	switch {
	case errors.Is(t.writeErr, syscall.EPIPE):
		return fail(exitIO, "the reader of the output is gone; line %d was the last one taken", t.items)
	case t.writeErr != nil:
		return fail(exitIO, "the output cannot be written and is not whole: %v; line %d was the last one taken", t.writeErr, t.items)
	case t.signal != 0 && !whole:
		return fail(t.signal, "interrupted%s", undone)
	case t.broken != nil:
		return fail(exitPool, "the pool is broken%s: %v", undone, t.broken)
	case t.readErr != nil:
		return fail(exitIO, "the input cannot be read after line %d: %v", t.items, t.readErr)
	case t.failed > 0:
		return &exitError{code: exitFailed}
	default:
		return nil
	}
}

const mapHelp = `
Each line of the input is one JSON value: the argument of one call. Each gives one line of output, in the order of
the input:

    {"index":0,"result":...}
    {"index":1,"error":{"kind":"task","message":"...","type":"*errors.errorString"}}

index is the number of the input line, from 0. The kinds of error are

    input    the line is no JSON, is empty, or has an integer of more than 64 bits; the message names the line
    value    the argument is none for this function, or the result has no form in JSON (NaN, say)
    task     the function returned an error: "type" is its type in Go
    panic    the function panicked: "type", "stack"
    timeout  the call took longer than -timeout
    crash    the worker was lost: "pid", "exit_code" or "signal"
    broken   the pool was broken, with -on-crash break or when workers do nothing but crash
    other    anything else

VALUES. The types of the function decide what fits; procpool funcs lists them. A struct is an object with the names
of its fields. A number written as an integer is sent as one, and any other as a float64. Bytes in a result are written as
base64; a string given to a function that takes bytes is its UTF-8. A key of a map that is no string is written as one.
What cannot be seen in a text, or what a terminal would obey, is written as \u and its number, which is the same in JSON.

STREAMING. Lines are taken and written as they come, so the input may be endless; -ahead and 64 MiB of input bound what is
under way. A line may be up to 1 GiB long.

CTRL-C. The first one takes no more input and lets running calls finish; the second kills the workers. What was not done
has no line in the output, and its number is told on standard error.

EXIT CODES. 0 every line has a result; 1 some have an error; 2 wrong usage; 3 the worker cannot be started, has no such
function, or the pool broke; 4 the input cannot be read or the output not written; 130 and 143 interrupted by SIGINT or
SIGTERM before all was done.

EXAMPLES

    printf '%s\n' 1000 10000 | procpool map -worker bin/worker -func primes
    seq 100000 | procpool map -worker bin/worker -func echo -chunk 100 > out.jsonl
    jq -c '.path' files.jsonl | procpool map -worker bin/worker -func gofmt -timeout 10s -retries 1
    tail -f log.jsonl | procpool map -worker python3 -func shout -- worker.py
`
