package procpool

import (
	"time"
)

// How the state brings waiting calls and workers together.

// advance brings waiting calls and workers together, starts workers where calls wait and none is idle, and lets workers go
// when no more calls can come.
func (s *state) advance(now time.Time) {
	for s.queue.head != nil && len(s.spare) > 0 && s.busy < s.policy.maxWorkers {
		if s.busy >= s.policy.cores {
			if w, _ := s.roomiest(s.queue.head, now); w != nil {
				break // another process would have to share a core with those that get to it as soon
			}
		}
		w := s.spare[len(s.spare)-1]
		s.spare = s.spare[:len(s.spare)-1]
		if t := s.queue.head; s.give(w, now) {
			s.fill(w, t, 0, now)
			continue
		}
		s.spare = append(s.spare, w)
	}
	for s.phases[starting] < s.queue.len && s.mayLaunch(now) {
		s.launch()
	}
	s.sendAhead(now)
	if s.closing && s.queue.len == 0 {
		s.wind(now)
	}
}

// sendAhead gives calls to workers that are busy, as far as they will get to them soon: to each of those that run out of calls
// its share of what waits. So a worker's calls come and go in bulk, and one that still has plenty is left alone.
func (s *state) sendAhead(now time.Time) {
	for s.queue.head != nil {
		w, hungry := s.roomiest(s.queue.head, now)
		if w == nil {
			return
		}
		s.fill(w, nil, (s.queue.len+hungry-1)/hungry, now)
	}
}

// fill gives a busy worker n calls, if it has room for as many, and beyond them those of a chunk that it has a part of; before
// is the call it was given last.
func (s *state) fill(w *workerState, before *task, n int, now time.Time) {
	for ; s.queue.head != nil; n-- {
		t := s.queue.head
		together := before != nil && t.batch != 0 && t.batch == before.batch
		if n <= 0 && !together || !s.hasRoom(w, t, now) {
			break
		}
		s.give(w, now)
		before = t
	}
	if len(w.calls) > 0 {
		s.watch(w, now)
	}
}

// roomiest is the busy worker that would get to t first, if one has run out of calls enough to have room for it, and how many
// such workers there are.
func (s *state) roomiest(t *task, now time.Time) (best *workerState, hungry int) {
	for _, w := range s.workers {
		if w.load > s.policy.window/2 && !w.shares(t) || !s.hasRoom(w, t, now) {
			continue
		}
		hungry++
		if best == nil || w.load < best.load {
			best = w
		}
	}
	return best, hungry
}

// hasRoom reports whether a busy worker may have t as well. What it has must be known to be over within the window, and
// the host must be able to take t back.
func (s *state) hasRoom(w *workerState, t *task, now time.Time) bool {
	if w.phase != ready || w.claims == nil || len(w.calls) == 0 || len(w.calls) >= w.claims.Slots() {
		return false
	}
	return w.shares(t) || t.fn.timed && w.load+max(t.fn.cost, minCost) <= s.policy.window && now.Before(w.since.Add(s.policy.window)) && w.overdue == nil
}

// shares reports whether the last call that the worker was given is of the same chunk as t.
func (w *workerState) shares(t *task) bool {
	if t.batch == 0 || len(w.calls) == 0 {
		return false
	}
	last := w.calls[len(w.calls)-1].task
	return last != nil && last.batch == t.batch
}

// give sends the oldest waiting call to w. It reports false if w got none: the call had been cancelled, or w cannot run it.
func (s *state) give(w *workerState, now time.Time) bool {
	t := s.queue.head
	s.unqueue(t)
	if t.fn != w.fit {
		if err := w.refuse(t); err != nil {
			s.reject(t, err)
			return false
		}
		w.fit = t.fn
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
	w.push(flight{id, t, cost})
	if len(w.calls) == 1 {
		w.since = now
		s.recount(w)
	}
	alone := len(w.calls) == 1 && s.queue.len == 0 && t.batch == 0 && !t.fn.decodes
	s.do(action{kind: actSend, worker: w.id, task: t, id: id, attempt: t.attempt, alone: alone})
	if s.policy.maxTasks > 0 && w.sent >= s.policy.maxTasks {
		s.enter(w, retiring)
		s.stats.Recycled++
		if len(s.spare) == 0 && s.mayLaunch(now) && !s.closing {
			s.launch() // so that the successor is warm
		}
	}
	return true
}

// minCost keeps calls of no measurable duration from being sent ahead without bound.
const minCost = time.Microsecond

// mayLaunch reports whether there is room for one more worker. Workers on their way out do not count, but they may not be
// more than the pool is large.
func (s *state) mayLaunch(now time.Time) bool {
	active := s.phases[starting] + s.phases[ready]
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
	s.phases[starting]++
	s.do(action{kind: actLaunch, worker: s.lastID})
}
