package procpool

import "time"

// cancelled drops a task that was cancelled while it waited. One that was lent is dropped when its worker says so.
func (s *state) cancelled(t *task, now time.Time) {
	switch {
	case t.span != nil:
		s.drop(t, now)
	case t.queued:
		s.unqueue(t)
	default:
		if w, _ := s.holderOf(t); w != nil {
			s.hurry(w, now)
		}
	}
	s.advance(now)
}

// drop cancels all calls of t's chunk that have not started.
func (s *state) drop(t *task, now time.Time) {
	for v := s.queue.head; v != nil; {
		next := v.next
		if v.with(t) && !v.again {
			s.unqueue(v)
			s.do(action{kind: actCancel, task: v})
		}
		v = next
	}
	for _, w := range s.workers {
		for i := range w.calls {
			if f := &w.calls[i]; f.task.with(t) {
				s.callOff(w, f, now)
			}
		}
	}
}

// callOff cancels what a worker has not started.
func (s *state) callOff(w *workerState, f *flight, now time.Time) {
	switch {
	case f.task == nil || f.task.again: // it has started once
		return
	case f.task.span == nil:
		f.task.call.Cancel() // without effect if it has started
	default:
		if rest := s.takeBack(w, f); rest != nil {
			s.do(action{kind: actCancel, task: rest})
		}
	}
	s.hurry(w, now)
}

// hurry bounds the wait for a worker's answer to its oldest call when that was withdrawn: it has nothing else to do, so one
// that does not answer is stuck or frozen, and would never go.
func (s *state) hurry(w *workerState, now time.Time) {
	if (w.phase == ready || w.phase == retiring) && w.killAt.IsZero() && len(w.calls) > 0 && w.calls[0].withdrawn() {
		w.killAt = now.Add(s.policy.killGrace)
		s.wake(w.killAt)
	}
}

func (s *state) unqueue(t *task) {
	s.queue.remove(t)
	if t.hasRoom {
		t.hasRoom = false
		s.left++
	}
}

// interrupt sees to it that a call that has started ends: it is told, and after a grace its worker is killed. Of a chunk it is
// each call that has started.
func (s *state) interrupt(t *task, cause error, now time.Time) {
	for v := s.queue.head; v != nil; { // between two attempts
		next := v.next
		if v == t || v.with(t) && v.again {
			s.unqueue(v)
			s.reject(v, cause)
		}
		v = next
	}
	for _, w := range s.workers {
		for i := range w.calls {
			if f := &w.calls[i]; f.task.with(t) {
				s.interruptAt(w, f, w.running(f), cause, now)
			}
		}
	}
	s.advance(now)
}

// interruptAt interrupts a call of f.
func (s *state) interruptAt(w *workerState, f *flight, id uint64, cause error, now time.Time) {
	t := f.task
	if t.interrupted != nil || f.done >= f.cut {
		return
	}
	t.interrupted, t.overdueID = cause, id
	if t.again { // it was to run again; perhaps it has not started
		if rest := s.takeBack(w, f); rest != nil {
			s.reject(rest, cause)
			s.hurry(w, now)
			return
		}
	}
	s.do(action{kind: actInterrupt, worker: w.id, task: t, id: id, reason: reason(t, cause)})
	w.disturbed = true
	s.pursue(w, now)
}

// pursue bounds the time of a worker's oldest call that was interrupted and goes on. One at a time: whatever becomes of it,
// the next one's turn comes when it is answered.
func (s *state) pursue(w *workerState, now time.Time) {
	if !w.disturbed || w.overdue != nil || w.phase != ready && w.phase != retiring {
		return
	}
	for i := range w.calls {
		if f := &w.calls[i]; f.task != nil && f.task.interrupted != nil {
			w.overdue, w.killAt = f.task, now.Add(s.policy.killGrace)
			s.wake(w.killAt)
			return
		}
	}
	w.disturbed = false
}
