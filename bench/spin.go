package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
)

// turnsFor is how many turns take d on a core of this machine: the fewest of some attempts, for the rest were disturbed.
func turnsFor(d time.Duration) int {
	const turns, attempts = 5_000_000, 7
	best := time.Duration(1 << 62)
	var x uint64 = 1
	for range attempts {
		begin := time.Now()
		x = tasks.Turn(x, turns)
		best = min(best, time.Since(begin))
	}
	if x == 0 { // it never is: the work must not be left out
		return 0
	}
	return max(int(float64(turns)*float64(d)/float64(best)), 1)
}

// idealWorkers is how long so many bare processes take that share calls of so many turns without asking anybody.
func idealWorkers(ctx context.Context, c Children, processes, turns, calls int) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends those that an error leaves behind
	type spinner struct {
		cmd *exec.Cmd
		in  io.Closer
		out *bufio.Reader
	}
	spinners := make([]spinner, processes)
	for i := range spinners {
		share := calls / processes
		if i < calls%processes {
			share++
		}
		cmd := exec.CommandContext(ctx, c.path("spin"), strconv.Itoa(turns), strconv.Itoa(share))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return 0, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return 0, err
		}
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		spinners[i] = spinner{cmd, in, bufio.NewReader(out)}
	}
	said := func() error {
		for _, s := range spinners {
			if _, err := s.out.ReadString('\n'); err != nil {
				return fmt.Errorf("spin: %w", err)
			}
		}
		return nil
	}
	if err := said(); err != nil { // that they are ready
		return 0, err
	}
	begin := time.Now()
	for _, s := range spinners {
		if err := s.in.Close(); err != nil {
			return 0, fmt.Errorf("spin: %w", err)
		}
	}
	if err := said(); err != nil { // that they are done
		return 0, err
	}
	took := time.Since(begin)
	for _, s := range spinners {
		if err := s.cmd.Wait(); err != nil {
			return 0, fmt.Errorf("spin: %w", err)
		}
	}
	return took, nil
}
