//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/pooltest"
)

// A spell is a part of the plan: a pool, calls, and what happens to them. Every number in it follows from the seed and the number of the spell.
type spell struct {
	n        int
	kind     string
	workers  int
	maxTasks int
	retries  int
	calls    int
	load     int           // bytes of each call, there and back
	timeout  time.Duration // of each call
	cancel   int           // one call in so many is cancelled right after it was submitted; 0: none
	slow     bool          // the pipes are
	kills    []kill
	faults   map[int]pooltest.Fault // of calls that strike their own worker
}

// A kill is one from outside.
type kill struct {
	after  int // so many calls are settled
	victim int // of the workers that there are, modulo their number
	signal syscall.Signal
}

var signals = []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGSTOP, syscall.SIGTERM, syscall.SIGKILL}

// suicides are what calls do to their own workers.
var suicides = []pooltest.Fault{
	pooltest.Exit(0), pooltest.Exit(3), pooltest.Signal(syscall.SIGKILL), pooltest.PanicElsewhere("soak"), pooltest.Overflow(),
	pooltest.HalfFrame(), pooltest.Garbage(), pooltest.Oversize(),
}

// overdue is how long a call may run in a spell of timeouts.
const overdue = 200 * time.Millisecond

// planned is spell n of the plan of that seed.
func planned(seed uint64, n int) spell {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	s := spell{n: n, workers: 2 + r.IntN(2), faults: map[int]pooltest.Fault{}}
	kinds := []string{"tiny", "tiny", "recycling", "suicides", "large", "timeouts", "slow", "retries"}
	s.kind = kinds[(n+r.IntN(2))%len(kinds)]
	s.calls, s.cancel = 4000, 11
	strikes := 60
	switch s.kind {
	case "recycling":
		s.maxTasks, s.calls = 20+r.IntN(60), 1500
	case "suicides":
		s.calls = 1000
		for range strikes {
			s.faults[r.IntN(s.calls)] = suicides[r.IntN(len(suicides))]
		}
	case "large":
		s.calls, s.load, strikes = 24, 8<<20, 6
	case "timeouts":
		s.calls, s.timeout, strikes = 400, overdue, 6
		for range 3 {
			s.faults[r.IntN(s.calls)] = pooltest.Obey()
			s.faults[r.IntN(s.calls)] = pooltest.Hang()
		}
	case "slow":
		s.calls, s.load, s.slow, strikes = 100, 2<<10, true, 8
	case "retries":
		s.retries, s.maxTasks = 2, 300
	}
	for range strikes {
		s.kills = append(s.kills, kill{r.IntN(s.calls), r.IntN(1 << 16), signals[r.IntN(len(signals))]})
	}
	return s
}

func (s spell) String() string {
	return fmt.Sprintf("%d %s: %d calls of %d bytes, %d workers, %d kills, %d faults, %d tasks per child, %d retries", s.n, s.kind, s.calls, s.load, s.workers,
		len(s.kills), len(s.faults), s.maxTasks, s.retries)
}
