// Command python-worker is a Go program whose work is done in Python: a pool of workers that speak PROTOCOL.md with the
// help of concurrent_worker.py.
//
//	go run . -python /usr/bin/python3
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A Summary is what the worker says of a sample. Python sends a dict with these keys.
type Summary struct{ Mean, Median, Stdev float64 }

// describe has its body in stats_worker.py.
var describe = futures.Declare[[]float64, Summary]("stats.Describe")

func main() {
	python := flag.String("python", "python3", "a Python 3 that has msgpack")
	script := flag.String("worker", "stats_worker.py", "the worker")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, procpool.Command(*python, *script)); err != nil {
		fmt.Fprintln(os.Stderr, "python-worker:", err)
		os.Exit(1)
	}
}

// run describes a few samples, of which one is too small: Python's error takes the place of its result.
func run(ctx context.Context, out io.Writer, worker procpool.WorkerCommand) error {
	pool, err := procpool.New(procpool.Config{Worker: worker, MaxWorkers: 2, Stderr: os.Stderr})
	if err != nil {
		return err
	}
	defer pool.Close() //nolint:errcheck // it has nothing to report
	samples := [][]float64{{1, 2, 3, 4}, {2.5}, {10, 10, 10, 40}}
	for summary, err := range futures.Map(ctx, pool, describe, slices.Values(samples)) {
		if err != nil {
			if _, err := fmt.Fprintln(out, err); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(out, "mean %.2f, median %.2f, standard deviation %.2f\n", summary.Mean, summary.Median, summary.Stdev); err != nil {
			return err
		}
	}
	return nil
}
