package procpool

import (
	"time"
)

// How the state brings waiting calls and workers together.

// advance brings waiting calls and workers together, starts workers where calls wait and none is idle, and lets workers go
// when no more calls can come.
func (s *state) advance(now time.Time) {
	for s.queue.head != nil && len(s.spare) > 0 && s.busy() < s.policy.maxWorkers {
		if s.busy() >= s.policy.cores && s.roomiest(s.queue.head, now) != nil {
			break // another process would have to share a core with those that get to it as soon
		}
		w := s.spare[len(s.spare)-1]
		s.spare = s.spare[:len(s.spare)-1]
		batch := s.queue.head.batch
		if !s.give(w, now) {
			s.spare = append(s.spare, w)
			continue
		}
		for batch != 0 && s.queue.head != nil && s.queue.head.batch == batch && s.hasRoom(w, s.queue.head, now) {
			s.give(w, now) // a chunk stays together
		}
	}
	for s.count(starting) < s.queue.len && s.mayLaunch(now) {
		s.launch()
	}
	s.sendAhead(now)
	if s.closing && s.queue.len == 0 {
		s.wind(now)
	}
}

// sendAhead gives calls to workers that are busy, as far as they will get to them soon.
func (s *state) sendAhead(now time.Time) {
	for s.queue.head != nil {
		w := s.roomiest(s.queue.head, now)
		if w == nil {
			return
		}
		s.give(w, now)
	}
}

// roomiest is the busy worker that would get to t first, if one has room for it.
func (s *state) roomiest(t *task, now time.Time) (best *workerState) {
	for _, w := range s.workers {
		if s.hasRoom(w, t, now) && (best == nil || w.load < best.load) {
			best = w
		}
	}
	return best
}

// hasRoom reports whether a busy worker may have t as well. What it has must be known to be over within the window, and
// the host must be able to take t back.
func (s *state) hasRoom(w *workerState, t *task, now time.Time) bool {
	if w.phase != ready || w.claims == nil || len(w.calls) == 0 || len(w.calls) >= w.claims.Slots() {
		return false
	}
	if last := w.calls[len(w.calls)-1].task; t.batch != 0 && last != nil && last.batch == t.batch {
		return true
	}
	return t.fn.timed && w.load+t.fn.cost <= s.policy.window && now.Before(w.since.Add(s.policy.window)) && w.overdue == nil
}

// give sends the oldest waiting call to w. It reports false if w got none: the call had been cancelled, or w cannot run it.
func (s *state) give(w *workerState, now time.Time) bool {
	t := s.queue.head
	s.unqueue(t)
	if err := w.refuse(t); err != nil {
		s.reject(t, err)
		return false
	}
	id := w.lastID + 1
	t.id, t.claims = id, w.claims
	switch {
	case t.again:
		if w.claims != nil {
			w.claims.Queue(id)
		}
	case w.claims == nil:
		if !t.call.Start() {
			return false
		}
	default:
		w.claims.Queue(id)
		if !t.call.Lend(t) {
			return false
		}
	}
	cost := s.policy.window
	if t.fn.timed {
		cost = max(t.fn.cost, minCost)
	}
	w.lastID = id
	w.sent++
	w.load += cost
	t.attempt++
	t.written.Store(0)
	w.calls = append(w.calls, flight{id, t, cost})
	if len(w.calls) == 1 {
		w.since = now
	}
	s.watch(w, now)
	s.do(action{kind: actSend, worker: w.id, task: t, id: id, attempt: t.attempt})
	if s.policy.maxTasks > 0 && w.sent >= s.policy.maxTasks {
		w.phase = retiring
		s.stats.Recycled++
		if len(s.spare) == 0 && s.mayLaunch(now) && !s.closing {
			s.launch() // so that the successor is warm
		}
	}
	return true
}

// minCost keeps calls of no measurable duration from being sent ahead without bound.
const minCost = time.Microsecond

// count is the number of workers in a phase.
func (s *state) count(p phase) (n int) {
	for _, w := range s.workers {
		if w.phase == p {
			n++
		}
	}
	return n
}

// busy is the number of workers that run calls. The successor of a retiring one is there before that one has finished, and
// must not make them more than MaxWorkers.
func (s *state) busy() (n int) {
	for _, w := range s.workers {
		if len(w.calls) > 0 && (w.phase == ready || w.phase == retiring) {
			n++
		}
	}
	return n
}

// mayLaunch reports whether there is room for one more worker. Workers on their way out do not count, but they may not be
// more than the pool is large.
func (s *state) mayLaunch(now time.Time) bool {
	active := s.count(starting) + s.count(ready)
	if s.broken != nil || s.stopped != nil || active >= s.policy.maxWorkers || len(s.workers) >= 2*s.policy.maxWorkers {
		return false
	}
	if now.Before(s.notBefore) {
		s.wake(s.notBefore)
		return false
	}
	return true
}

func (s *state) launch() {
	s.lastID++
	s.stats.Started++
	s.workers = append(s.workers, &workerState{id: s.lastID})
	s.do(action{kind: actLaunch, worker: s.lastID})
}
