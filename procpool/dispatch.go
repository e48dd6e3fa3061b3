package procpool

import (
	"time"
)

// How the state brings waiting calls and workers together.

// advance brings waiting calls and workers together, starts workers where calls wait and none is idle, and lets workers go
// when no more calls can come.
func (s *state) advance(now time.Time) {
	if s.someLate {
		s.relieveLate(now)
	}
	for s.queue.head != nil && len(s.spare) > 0 && s.busy < s.policy.maxWorkers {
		if s.busy >= s.policy.cores && (s.roomiest(s.queue.head, now) != nil || s.soon(now)) {
			break // another process would have to share a core with those that get to it as soon
		}
		w := s.spare[len(s.spare)-1]
		s.spare = s.spare[:len(s.spare)-1]
		if t := s.queue.head; s.give(w, 1, now) > 0 {
			s.fill(w, t, 0, now)
			continue
		}
		s.spare = append(s.spare, w)
	}
	for len(s.spare) == 0 && s.phases[starting] < s.queue.hands && s.mayLaunch(now) {
		s.launch()
	}
	s.sendAhead(now)
	if s.closing && s.queue.len == 0 {
		s.wind(now)
	}
}

// saturated reports whether calls wait, and further ones would, until a worker has answered or something else has happened.
func (s *state) saturated() bool {
	return !s.closing && s.queue.head != nil && len(s.spare) == 0 && s.phases[starting]+s.phases[ready] >= s.policy.maxWorkers
}

// sendAhead gives calls to workers that are busy, as far as they will get to them soon: to each of those that run out of calls
// its share of what waits. So a worker's calls come and go in bulk, and one that still has plenty is left alone.
func (s *state) sendAhead(now time.Time) {
	for s.queue.head != nil {
		w := s.roomiest(s.queue.head, now)
		if w == nil {
			return
		}
		sharers := min(s.busy, s.policy.cores)
		s.fill(w, nil, (s.queue.calls+sharers-1)/sharers, now)
	}
}

// soon reports whether as many workers as can run at once get on with their calls, and what waits is so little that they will have room for it
// before another process is worth the change.
func (s *state) soon(now time.Time) bool {
	f := s.queue.head.fn
	if !f.timed || f.price() > s.policy.window/2/time.Duration(s.queue.calls) {
		return false
	}
	getOn := 0
	for _, w := range s.workers {
		if w.phase == ready && w.busy && s.getsOn(w, now) {
			getOn++
		}
	}
	if getOn < s.policy.cores {
		return false
	}
	s.wake(now.Add(s.policy.window))
	return true
}

// fill gives a busy worker n calls, if it has room for as many, and beyond them those of a chunk that it should get as a whole; before
// is what it was given last.
func (s *state) fill(w *workerState, before *task, n int, now time.Time) {
	for s.queue.head != nil {
		t := s.queue.head
		together := before != nil && t.whole() && t.with(before)
		if n <= 0 && !together || !s.hasRoom(w, t, now) {
			break
		}
		n -= s.give(w, max(n, 1), now)
		before = t
	}
	if len(w.calls) > 0 {
		s.watch(w, now)
	}
}

// roomiest is the busy worker that would get to t first, if one has run out of calls enough to have room for it.
func (s *state) roomiest(t *task, now time.Time) (best *workerState) {
	for _, w := range s.workers {
		if w.load > s.policy.window/2 && !w.shares(t) || !s.hasRoom(w, t, now) {
			continue
		}
		if best == nil || w.load < best.load {
			best = w
		}
	}
	return best
}

// hasRoom reports whether a busy worker may have a call of t as well. What it has must be known to be over within the window, and
// the host must be able to take t back.
func (s *state) hasRoom(w *workerState, t *task, now time.Time) bool {
	if w.phase != ready || w.claims == nil || len(w.calls) == 0 || w.slots() < 1 {
		return false
	}
	return w.overdue == nil && w.shares(t) || t.fn.timed && w.load+t.fn.price() <= s.policy.window && s.getsOn(w, now)
}

// slots is how many more calls may be sent to a worker with claims: of two on their way no slot may be the same.
func (w *workerState) slots() int {
	if len(w.calls) == 0 {
		return w.claims.Slots()
	}
	return w.claims.Slots() - int(w.lastID+1-w.calls[0].id)
}

// shares reports whether the last call that the worker was given is of the same chunk as t, which should stay together.
func (w *workerState) shares(t *task) bool {
	if !t.whole() || len(w.calls) == 0 {
		return false
	}
	last := w.calls[len(w.calls)-1].task
	return last != nil && last.with(t)
}

// portion is how many calls of t, at most n, a worker should get in one message.
func (s *state) portion(w *workerState, t *task, n int) int {
	size := t.size()
	if size == 1 {
		return 1
	}
	if !t.whole() {
		size = min(size, n)
		if room := s.policy.window - w.load; t.fn.timed {
			size = min(size, int(room/t.fn.price()))
		} else {
			size = 1
		}
	}
	if w.claims == nil || !w.chunks {
		return 1
	}
	if s.policy.maxTasks > 0 {
		size = min(size, s.policy.maxTasks-w.sent)
	}
	return max(1, min(size, w.slots(), t.fits()))
}

// give sends to w what is oldest of what waits, at most n calls, and returns how many that was. It is none if what waited had
// been cancelled, or w cannot run it.
func (s *state) give(w *workerState, n int, now time.Time) int {
	t := s.queue.head
	if t.fn != w.fit {
		if err := w.refuse(t); err != nil {
			s.unqueue(t)
			s.reject(t, err)
			return 0
		}
		w.fit = t.fn
	}
	portion := s.portion(w, t, n)
	s.unqueue(t)
	if portion < t.size() {
		s.queue.pushFront(t.split(portion))
	}
	id := w.lastID + 1
	t.id, t.claims = id, w.claims
	switch {
	case t.again:
		if w.claims != nil {
			w.claims.Queue(id)
		}
	case w.claims == nil:
		if !t.start() {
			s.dropped(t)
			return 0
		}
	default:
		w.claims.Queue(id)
		if !t.lend() {
			s.dropped(t)
			return 0
		}
	}
	cost := s.policy.window
	if t.fn.timed {
		cost = t.fn.price()
	}
	w.lastID += uint64(portion)
	w.sent += portion
	w.load += time.Duration(portion) * cost
	t.attempt++
	if t.attempt > 1 {
		t.written.Store(0)
	}
	w.push(flight{id: id, task: t, n: int32(portion), cut: int32(portion), cost: cost})
	if len(w.calls) == 1 {
		w.since = now
		s.recount(w)
	}
	alone := len(w.calls) == 1 && s.queue.len == 0 && t.span == nil && !t.fn.decodes
	s.do(action{kind: actSend, worker: w.id, task: t, id: id, from: int32(t.first()), n: int32(portion), attempt: t.attempt, alone: alone})
	if s.policy.maxTasks > 0 && w.sent >= s.policy.maxTasks {
		s.enter(w, retiring)
		s.stats.Recycled++
		if len(s.spare) == 0 && s.mayLaunch(now) && !s.closing {
			s.launch() // so that the successor is warm
		}
	}
	return portion
}

// dropped is what becomes of a task that was cancelled before it could be sent. A call has been settled by whoever cancelled it.
func (s *state) dropped(t *task) {
	if t.span != nil {
		s.do(action{kind: actCancel, task: t})
	}
}

// chunkSize is how many calls of a function should travel together: a good part of the window's worth.
func (s *state) chunkSize(f *function) int {
	if !f.timed {
		return 1
	}
	return int(min(max(s.policy.window/4/f.price(), 1), mostInChunk))
}

// mostInChunk bounds a chunk whose size the user did not choose.
const mostInChunk = 1000

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
