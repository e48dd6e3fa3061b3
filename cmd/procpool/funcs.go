package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/seed7d1be1d5/concurrent/internal/harmless"
)

func funcsCommand() *cli.Command {
	return &cli.Command{
		Name:        "funcs",
		Usage:       "list the functions that a worker offers, with their types",
		UsageText:   "procpool funcs -worker PROGRAM [-- ARGUMENT...]",
		Description: strings.TrimSpace(funcsHelp),
		Flags:       []cli.Flag{workerFlag()},
		Action:      listFunctions,
	}
}

func listFunctions(ctx context.Context, c *cli.Command) error {
	d, err := describe(ctx, workerOf(c), harmless.NewWriter(os.Stderr))
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, f := range d.Functions {
		fmt.Fprintln(&b, signature(f))
	}
	features := said(strings.Join(d.Features, ", "))
	if features == "" {
		features = "none"
	}
	fmt.Fprintf(&b, "\nbuild     %s\nfeatures  %s\n", said(d.Build), features)
	if _, err := os.Stdout.WriteString(b.String()); err != nil {
		return fail(exitIO, "write the list: %v", err)
	}
	return nil
}

const funcsHelp = `
One worker is started, asked, and let go. Each function comes in a line of its own, as name(argument) result, in
the notation of Go; a struct is an object in JSON, and of a long type only the beginning is shown. A ? stands for
what the worker does not say. What the worker was built from follows.

Exit codes: 0 all is well; 2 wrong usage; 3 the worker cannot be started; 4 the list cannot be written.
`
