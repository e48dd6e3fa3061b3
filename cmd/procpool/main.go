// Command procpool runs a function of a worker on every line of a file, in as many processes as there are CPUs.
//
//	procpool map -worker bin/worker -func sha256 < in.jsonl > out.jsonl
//	procpool funcs -worker bin/worker
//	procpool demo -worker bin/worker
//
// See procpool map --help for what the lines look like and what the exit codes mean.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v3"
)

func main() { os.Exit(run(context.Background(), os.Args)) }

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string) int {
	err := command().Run(ctx, args)
	var exit *exitError
	switch {
	case err == nil:
	case !errors.As(err, &exit):
		fmt.Fprintf(os.Stderr, "procpool: %v\nTry procpool --help.\n", err)
	case exit.text != "":
		fmt.Fprintf(os.Stderr, "procpool: %s\n", exit.text)
	}
	return exitCode(err)
}

func command() *cli.Command {
	root := &cli.Command{
		Name:        "procpool",
		Usage:       "run a function of a worker on every line of a file, in many processes",
		Description: strings.TrimSpace(rootHelp),
		Commands:    []*cli.Command{mapCommand(), funcsCommand(), demoCommand()},
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return fail(exitUsage, "there is no command %q: it must be map, funcs or demo", c.Args().First())
			}
			return cli.ShowRootCommandHelp(c)
		},
	}
	for _, c := range append([]*cli.Command{root}, root.Commands...) {
		c.HideHelpCommand = true
		c.OnUsageError = func(_ context.Context, c *cli.Command, err error, _ bool) error {
			return fail(exitUsage, "%v\nTry %s --help.", err, c.FullName())
		}
		c.ExitErrHandler = func(context.Context, *cli.Command, error) {} // run exits
	}
	return root
}

const rootHelp = `
A worker is a program that offers functions: the stock worker (cmd/worker), a program of yours that calls
worker.Main, or one in any language that speaks PROTOCOL.md. procpool starts as many of them as there are CPUs,
hands them the lines of its input, and puts the results in order. A crash costs one call and not the batch.

    procpool funcs -worker bin/worker
    printf '%s\n' 10 100 1000 | procpool map -worker bin/worker -func primes
`
