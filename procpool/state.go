package procpool

import (
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// state is the whole of what a pool knows and decides. It does no I/O, starts no goroutine and reads no clock: it is told
// what happened, and when, and leaves in todo what to do about it. Only [ProcessPoolExecutor.update] touches it.
type state struct {
	policy policy

	queue   queue          // waiting for a worker
	workers []*workerState // those that exist, in the order of their start
	spare   []*workerState // ready ones without a call; the last one used is the next one used
	lastID  workerID
	phases  [condemned + 1]int // workers in each phase
	busy    int                // workers that run calls

	closing    bool
	broken     func(*task) error // makes each call's own error; nil while the pool works
	cancelling bool              // calls that have not started are cancelled
	stopped    error             // why workers were terminated; nil unless they were

	someLate  bool      // a worker is late
	everReady bool      // a worker has been ready at some time: the command as such is good
	futile    int       // workers that died since a call was last finished
	notBefore time.Time // no worker is started before this

	alarm time.Time // when tick is due; zero: not at all
	left  int       // tasks that gave back their room since the pool last looked
	todo  []action  // drained after every event
	stats Stats
}

// policy is the part of Config that decides.
type policy struct {
	maxWorkers  int
	cores       int // how many workers can really run at once
	maxTasks    int // per worker; 0: no limit
	idleTimeout time.Duration
	killGrace   time.Duration
	onCrash     CrashPolicy
	maxFutile   int
	maxRSS      int64         // bytes of a worker; 0: no limit
	window      time.Duration // how much work may be sent ahead to a worker

	// startPatience is how long a worker may leave a call unstarted that it could start, before it is taken for frozen.
	startPatience time.Duration
}

func newState(p policy) *state {
	return &state{policy: p}
}

// refusal is why calls are not accepted; nil while they are. Being broken outdoes being shut down (row E6).
func (s *state) refusal(t *task) error {
	switch {
	case s.broken != nil:
		return s.broken(t)
	case s.closing:
		return futures.ErrShutdown
	default:
		return nil
	}
}

// submitted takes in calls that no refusal stands against.
func (s *state) submitted(tasks []*task, now time.Time) {
	for _, t := range tasks {
		s.queue.pushBack(t)
		s.stats.Submitted += t.size()
	}
	s.advance(now)
}

// reject settles t with err.
func (s *state) reject(t *task, err error) {
	s.rejectEach(t, func(*task) error { return err })
}

// rejectEach settles each call of t with an error of its own.
func (s *state) rejectEach(t *task, why func(*task) error) {
	for n := range t.size() {
		s.do(action{kind: actReject, task: t, from: int32(t.first() + n), err: why(t)})
	}
}
