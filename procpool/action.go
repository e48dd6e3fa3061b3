package procpool

import (
	"syscall"
	"time"
)

type actionKind uint8

const (
	actLaunch    actionKind = iota // start a process for worker
	actSend                        // send task to worker
	actInterrupt                   // tell worker to end the ctx of the call id
	actDismiss                     // let worker go
	actSignal                      // send signal to worker's process group
	actReject                      // settle task with err
	actCancel                      // cancel task
	actWeigh                       // tell how much memory worker has
	actOver                        // nothing is left, and nothing will come
)

// An action is what the state has decided to be done, by whoever has told it what happened.
type action struct {
	kind    actionKind
	worker  workerID
	task    *task
	id      uint64
	from, n int32 // of task's calls: the number of the first, and how many
	attempt int32
	alone   bool // to send: the worker has no other call, nothing else waits, and the result is simple
	err     error
	reason  string
	signal  syscall.Signal
}

func (s *state) do(a action) { s.todo = append(s.todo, a) }

// wake asks for a tick at the given time at the latest.
func (s *state) wake(at time.Time) {
	if s.alarm.IsZero() || at.Before(s.alarm) {
		s.alarm = at
	}
}

// update tells the state of an event and carries out what it decides. What goes to a worker's outbox does so before the
// next event, so that a call is never overtaken by its own cancel; the rest happens without the lock. In a nil pool nothing happens.
func (p *ProcessPoolExecutor) update(event func(*state, time.Time)) {
	if p == nil {
		return
	}
	p.mu.Lock()
	now := time.Now()
	p.admit(now) // what was submitted before the event comes before it
	event(p.state, now)
	p.settle(nil)
	p.takeIn(nil)
}

// unlock is how everybody else gives mu back: there may be submissions that were left to whoever had it.
func (p *ProcessPoolExecutor) unlock() {
	p.mu.Unlock()
	p.takeIn(nil)
}

// settle carries out what the state has decided. It is called with mu held and unlocks it. own is what this goroutine submits, if it does.
func (p *ProcessPoolExecutor) settle(own *task) {
	var later []action
	var direct *link // the one to which this goroutine writes itself
	for todo := p.state.todo; len(todo) > 0; {
		n := 1
		switch a := todo[0]; a.kind {
		case actSend, actInterrupt, actDismiss:
			for n < len(todo) && todo[n].kind == actSend && todo[n].worker == a.worker {
				n++
			}
			if l := p.link[a.worker]; l.post(todo[:n], own != nil && a.task == own) {
				direct = l
			}
		case actLaunch:
			p.launch(a.worker)
		default:
			later = append(later, a)
		}
		todo = todo[n:]
	}
	clear(p.state.todo)
	p.state.todo = p.state.todo[:0]
	for ; p.state.left > 0; p.state.left-- {
		<-p.room // a token of a task that has left the queue: never waits
	}
	p.setAlarm()
	p.saturated.Store(p.state.saturated()) // and after that whoever has mu looks at the intake again
	if p.state.broken != nil || p.state.closing {
		p.refuse()
	}
	p.mu.Unlock()
	if direct != nil {
		direct.writeNow()
	}
	for _, a := range later {
		p.perform(a)
	}
}

// refuse lets go of whoever waits for room. It is called with mu held.
func (p *ProcessPoolExecutor) refuse() {
	if !p.refuses.Swap(true) {
		close(p.closed)
	}
}

func (p *ProcessPoolExecutor) perform(a action) {
	switch a.kind {
	case actReject:
		a.task.reject(int(a.from), a.err)
	case actCancel:
		a.task.cancel()
	case actSignal:
		p.mu.Lock()
		l := p.link[a.worker]
		p.unlock()
		if l != nil {
			l.signal(a.signal)
		}
	case actWeigh:
		p.weigh(a.worker)
	case actOver:
		p.mu.Lock()
		defer p.unlock()
		select {
		case <-p.over:
		default:
			close(p.over)
			p.stopAlarm()
		}
	}
}

// weigh tells the state how much memory a worker has, if the system says.
func (p *ProcessPoolExecutor) weigh(id workerID) {
	p.mu.Lock()
	l := p.link[id]
	p.unlock()
	if l == nil {
		return
	}
	if bytes, ok := l.process.weight(); ok { // it was ready once, so there is a process
		p.update(func(s *state, now time.Time) { s.weighed(id, bytes, now) })
	}
}

// launch starts the life of a link. It is called with mu held.
func (p *ProcessPoolExecutor) launch(id workerID) {
	l := newLink(p, id)
	p.link[id] = l
	p.links.Go(l.live)
}

// setAlarm sees that tick is called when the state wants it. It is called with mu held.
func (p *ProcessPoolExecutor) setAlarm() {
	at := p.state.alarm
	if at.IsZero() || !p.armed.IsZero() && !at.Before(p.armed) {
		return
	}
	p.armed = at
	if p.alarm == nil {
		p.alarm = time.AfterFunc(time.Until(at), p.tick)
		return
	}
	p.alarm.Reset(time.Until(at))
}

func (p *ProcessPoolExecutor) stopAlarm() {
	if p.alarm != nil {
		p.alarm.Stop()
	}
}

func (p *ProcessPoolExecutor) tick() {
	p.update(func(s *state, now time.Time) {
		p.armed = time.Time{}
		s.tick(now)
	})
}
