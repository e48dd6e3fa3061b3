// Command batch takes numbers to their prime factors, on all CPUs. It shows a CPU-bound batch over futures.Map:
//
//   - the program is its own worker: main begins with worker.MainIfWorker, and the pool starts procpool.Self;
//   - results come in the order of the inputs, while the workers are busy with those that follow;
//   - an item that fails yields its error in its place, and the rest goes on;
//   - Ctrl-C reaches the calls that are running, and the program says what was not done.
//
// Run it with numbers, or with numbers on standard input. Progress is shown when the results go elsewhere.
//
//	go run ./examples/batch 112272535095293 360 twelve
//	seq 1000000000000 1000000000999 | go run ./examples/batch > factors.txt
//
// It exits with status 1 if a number was not factored.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() {
	worker.MainIfWorker(factor) // first: in a worker it does not return
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "batch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, numbers []string) error {
	if len(numbers) == 0 {
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		numbers = strings.Fields(string(text))
	}
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), Stderr: os.Stderr})
	if err != nil {
		return err
	}
	defer pool.Close() //nolint:errcheck // it has nothing to report

	bar := newBar(len(numbers))
	var done, failed int
	for primes, err := range futures.Map(ctx, pool, factor, slices.Values(numbers)) {
		if errors.Is(err, context.Canceled) {
			return fmt.Errorf("interrupted: %d of %d numbers were not factored", len(numbers)-done, len(numbers))
		}
		if err != nil {
			failed++
			fmt.Printf("%s: %v\n", numbers[done], err)
		} else {
			fmt.Printf("%s = %s\n", numbers[done], product(primes))
		}
		done++
		_ = bar.Add(1) // a bar that cannot be drawn is no reason to stop
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d numbers were not factored", failed, len(numbers))
	}
	return nil
}

func product(primes []uint64) string {
	texts := make([]string, len(primes))
	for i, p := range primes {
		texts[i] = strconv.FormatUint(p, 10)
	}
	return strings.Join(texts, " × ")
}

// newBar shows progress to a human whom the results do not reach.
func newBar(total int) *progressbar.ProgressBar {
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetVisibility(isTerminal(os.Stderr) && !isTerminal(os.Stdout)),
		progressbar.OptionSetDescription("factoring"),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish())
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
