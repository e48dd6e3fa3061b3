package procpool

// Stats is where a pool stands at one moment, and what it has done so far.
type Stats struct {
	Workers int   // processes that take calls, or are about to
	Idle    int   // those without a call
	Leaving int   // processes on their way out
	PIDs    []int // of all of them, in the order of their start; a process that is being started may be missing
	Queued  int   // calls that wait for a worker
	Sent    int   // calls at workers, running or about to

	Submitted int // calls accepted
	Answered  int // calls that a worker has run to their end, well or not
	Retried   int // attempts made again after a crash
	Started   int // processes started
	Recycled  int // processes replaced because of MaxTasksPerChild or MaxRSS
	Outgrown  int // of which because of MaxRSS
	Crashed   int // processes that ended unexpectedly, could not be started, or did not start their calls

	NotEnforced []string // what Config.Limits and Config.Sandbox ask for and this machine does not enforce: see Enforced
}

func (s *state) snapshot() Stats {
	stats := s.stats
	stats.Queued = s.queue.calls
	stats.Idle = len(s.spare)
	for _, w := range s.workers {
		if w.phase == starting || w.phase == ready {
			stats.Workers++
		} else {
			stats.Leaving++
		}
		for _, f := range w.calls {
			stats.Sent += int(max(f.cut-f.done, 0))
		}
	}
	return stats
}
