package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/seed7d1be1d5/concurrent/internal/harmless"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

func workerFlag() cli.Flag {
	return &cli.StringFlag{Name: "worker", Usage: "the worker `PROGRAM`; arguments after -- are the worker's", Required: true}
}

// workerOf is the command that -worker and the arguments after the flags stand for.
func workerOf(c *cli.Command) procpool.WorkerCommand {
	return procpool.Command(c.String("worker"), c.Args().Slice()...)
}

// describe asks a worker what it offers, before anything else is done. stderr gets what it prints meanwhile.
func describe(ctx context.Context, worker procpool.WorkerCommand, stderr io.Writer) (procpool.Description, error) {
	d, err := procpool.Describe(ctx, procpool.Config{Worker: worker, Stderr: stderr})
	if err != nil {
		return d, fail(exitPool, "the worker %s cannot be used: %s", worker, strings.TrimPrefix(err.Error(), "procpool: "))
	}
	return d, nil
}

// said is what a worker says of itself, as a line that is not too long.
func said(text string) string { return harmless.Line(text, 500) }

// find makes sure that the worker offers a function.
func find(d procpool.Description, worker procpool.WorkerCommand, name string) error {
	var names []string
	for _, f := range d.Functions {
		if f.Name == name {
			return nil
		}
		names = append(names, f.Name)
	}
	return fail(exitPool, "the worker %s (%s) offers no function %q; it offers %s", worker, said(d.Build), name, said(strings.Join(names, ", ")))
}

// signature is a function as funcs lists it.
func signature(f ipc.Function) string {
	or := func(s string) string {
		if s == "" {
			return "?" // the worker does not say
		}
		return said(s)
	}
	return fmt.Sprintf("%s(%s) %s", said(f.Name), or(f.In), or(f.Out))
}
