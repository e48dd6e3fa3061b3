package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A Job is a client's program, in the language of eight signs: > < move along a tape of bytes, + - change the byte there,
// . writes it, and , reads one; what is between [ and ] is repeated until the byte at hand is zero.
type Job struct {
	Program []byte
	Input   []byte
}

// execute runs a Job. It was written without a thought for hostile programs: one may leave the tape, which is a panic, nest so
// deep that the stack overflows, which no recover contains, or never end, and it does not listen to its ctx. That all this
// costs at most one worker is the pool's doing and not its own.
var execute = futures.NewFunc("tape.Execute", func(_ context.Context, job Job) ([]byte, error) {
	fmt.Fprintf(os.Stderr, "worker %d: program of %d bytes\n", os.Getpid(), len(job.Program))
	partner, err := pair(job.Program)
	if err != nil {
		return nil, err
	}
	m := machine{job: job, partner: partner, tape: make([]byte, 30_000)}
	if err := m.run(0, len(job.Program)); err != nil {
		return nil, err
	}
	return m.output.Bytes(), nil
})

// limitStack is for the initializer: it brings a program that nests without end to its own end sooner.
var limitStack = futures.NewFunc("tape.LimitStack", func(_ context.Context, size int) (struct{}, error) {
	debug.SetMaxStack(size)
	return struct{}{}, nil
})

type machine struct {
	job     Job
	partner map[int]int // from each [ to its ]
	tape    []byte
	at      int
	output  bytes.Buffer
}

const maxOutput = 1 << 20

func (m *machine) run(from, to int) error {
	for i := from; i < to; i++ {
		switch m.job.Program[i] {
		case '>':
			m.at++
		case '<':
			m.at--
		case '+':
			m.tape[m.at]++
		case '-':
			m.tape[m.at]--
		case '.':
			if m.output.Len() == maxOutput {
				return fmt.Errorf("the program writes more than %d bytes", maxOutput)
			}
			m.output.WriteByte(m.tape[m.at])
		case ',':
			m.tape[m.at] = 0 // at the end of the input
			if len(m.job.Input) > 0 {
				m.tape[m.at], m.job.Input = m.job.Input[0], m.job.Input[1:]
			}
		case '[':
			for m.tape[m.at] != 0 {
				if err := m.run(i+1, m.partner[i]); err != nil {
					return err
				}
			}
			i = m.partner[i]
		}
	}
	return nil
}

func pair(program []byte) (map[int]int, error) {
	partner := make(map[int]int)
	var open []int
	for i, sign := range program {
		switch sign {
		case '[':
			open = append(open, i)
		case ']':
			if len(open) == 0 {
				return nil, fmt.Errorf("the ] at %d closes nothing", i)
			}
			partner[open[len(open)-1]] = i
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return nil, errors.New("a [ is not closed")
	}
	return partner, nil
}
