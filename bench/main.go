// Command bench measures the project and its peers side by side, prints one table, and writes docs/performance.md with its
// plots. It is run in the folder bench of the project: go run .
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "a tenth of the counts, to try it out")
	docs := flags.String("docs", "../docs", "the `folder` in which performance.md and the plots are written")
	only := flags.String("only", "", "measure only what this `regexp` matches, and write no documents")
	rounds := flags.Int("rounds", 5, "how often project and peers are measured in turn")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds: %d is less than 1", *rounds)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is too much", flags.Args())
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	children, err := buildChildren(ctx)
	if err != nil {
		return err
	}
	defer children.remove()
	b := &Bench{children: children, python: findCPython(ctx), rounds: *rounds, quick: *quick}
	report := Report{System: describeSystem(b.python), Rounds: *rounds, Quick: *quick}
	if report.System.busy() {
		fmt.Fprintf(os.Stderr, "bench: the machine is busy (its load is %s): take no figure for granted\n", report.System.Load)
	}
	begin := time.Now()
	if report.Rows, err = b.measure(ctx, wanted); err != nil {
		return err
	}
	report.Latencies, report.Durations, report.Took = b.latencies, b.durations, time.Since(begin).Round(time.Second)
	if err := printTable(os.Stdout, report.Rows); err != nil {
		return err
	}
	if *only != "" {
		return nil
	}
	return report.write(*docs)
}

// measure makes the measures whose names are wanted. What is under way is told to stderr.
func (b *Bench) measure(ctx context.Context, wanted *regexp.Regexp) ([]Row, error) {
	var rows []Row
	for _, m := range measures {
		if !wanted.MatchString(m.name) {
			continue
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it took longer than %v", patience))
		more, err := m.run(ctx, b)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // whatever it led to
		}
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(os.Stderr, "%-10s %5.1f s\n", m.name, time.Since(begin).Seconds())
		rows = append(rows, more...)
		debug.FreeOSMemory() // nobody starts with the memory of another
	}
	return rows, nil
}
