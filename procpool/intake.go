package procpool

import (
	"math"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// accept makes a task of c, or settles it and returns nil.
func (p *ProcessPoolExecutor) accept(c futures.Call) *task {
	t := &task{call: c, fn: p.function(c.Func()), retries: retriesOf(c)}
	var err error
	if t.arg, err = p.EncodeArg(t.short[:0], c.Func(), c.Arg()); err != nil {
		c.Reject(err)
		return nil
	}
	if p.room != nil {
		select {
		case p.room <- struct{}{}:
			t.hasRoom = true
		case <-p.closed: // which is why it is refused below
		case <-c.Context().Done(): // which cancels the call
			return nil
		}
	}
	return t
}

// retriesOf is how often a call, or each of a chunk, may run again.
func retriesOf(c interface{ Retries() int }) int32 { return int32(min(c.Retries(), math.MaxInt32)) }

// enqueue hands a task over to the state: by this goroutine, or by the one that is busy with the state.
func (p *ProcessPoolExecutor) enqueue(t *task) {
	if p.refuses.Load() {
		p.turnAway(t)
		return
	}
	p.leave(t)
}

// leave puts a task into the intake.
func (p *ProcessPoolExecutor) leave(t *task) {
	p.intakeMu.Lock()
	p.intake = append(p.intake, t)
	p.waiting.Store(true)
	many := len(p.intake) >= mostInIntake
	p.intakeMu.Unlock()
	if many || p.room != nil || t.span != nil || len(t.arg) >= ipc.MinShared || !p.saturated.Load() {
		p.takeIn(t)
	}
}

// mostInIntake bounds what waits in the intake of a saturated pool: a call that is cancelled there is forgotten only when it is taken in,
// and so is its argument. One that holds room of a bounded queue, or a large argument, does not wait there, nor does a chunk: its calls
// are settled by whoever holds it, also when they are cancelled.
const mostInIntake = 256

// turnAway is what becomes of calls that come too late: it is over when Submit returns.
func (p *ProcessPoolExecutor) turnAway(t *task) {
	if t.hasRoom {
		<-p.room // its own token: never waits
	}
	for n := range t.size() {
		p.mu.Lock()
		err := p.state.refusal(t)
		p.unlock()
		t.reject(n, err)
	}
}

// takeIn tells the state of what was submitted, unless somebody is there who will. own is what this goroutine submits, if it does.
func (p *ProcessPoolExecutor) takeIn(own *task) {
	for p.waiting.Load() && p.mu.TryLock() {
		p.admit(time.Now())
		p.settle(own)
	}
}

// admit moves the intake to the state. It is called with mu held.
func (p *ProcessPoolExecutor) admit(now time.Time) {
	if !p.waiting.Load() {
		return
	}
	p.intakeMu.Lock()
	tasks := p.intake
	p.intake = p.spare[:0]
	p.waiting.Store(false)
	p.intakeMu.Unlock()
	s := p.state
	accepted := tasks[:0]
	for _, t := range tasks {
		refused := s.refusal(t) != nil
		if !refused && t.hold() {
			accepted = append(accepted, t)
			continue
		}
		if t.hasRoom {
			s.left++
		}
		if refused {
			s.rejectEach(t, s.refusal)
		}
	}
	s.submitted(accepted, now)
	clear(tasks)
	if p.spare = tasks; cap(tasks) > keepIntake {
		p.spare = nil
	}
}

// keepIntake is the largest intake that is kept for the next one.
const keepIntake = 16 << 10
