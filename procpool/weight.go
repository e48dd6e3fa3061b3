package procpool

import "time"

// How the state retires workers that have grown past Config.MaxRSS. It asks for the memory of a worker from a tick, and never while an answer is dealt
// with: calls pay nothing, and a worker is looked at once in weighEvery at most, and only if it has run a call since.

// weighEvery is how often a worker's memory is looked at.
const weighEvery = 100 * time.Millisecond

// toWeigh notes that a worker has run calls, and may have grown.
func (s *state) toWeigh(w *workerState, now time.Time) {
	if s.policy.maxRSS == 0 || w.grown || w.phase != ready {
		return
	}
	w.grown = true
	if w.weighAt.Before(now) {
		w.weighAt = now
	}
	s.wake(w.weighAt)
}

// checkWeight has a worker weighed if that is due.
func (s *state) checkWeight(w *workerState, now time.Time) {
	if !w.grown || w.phase != ready {
		return
	}
	if now.Before(w.weighAt) {
		s.wake(w.weighAt)
		return
	}
	w.grown, w.weighAt = false, now.Add(weighEvery)
	s.do(action{kind: actWeigh, worker: w.id})
}

// weighed says how many bytes a worker has. One that has too many takes no more calls: what it has not started goes to others, and what it runs it
// finishes.
func (s *state) weighed(id workerID, bytes int64, now time.Time) {
	w := s.worker(id)
	if w == nil || w.phase != ready || bytes <= s.policy.maxRSS {
		return
	}
	s.stats.Recycled++
	s.stats.Outgrown++
	s.recall(w, true, now)
	if len(w.calls) == 0 {
		s.dismiss(w, now)
	} else {
		s.enter(w, retiring)
		s.hurry(w, now)
		if len(s.spare) == 0 && s.mayLaunch(now) && !s.closing {
			s.launch() // so that the successor is warm
		}
	}
	s.advance(now)
}
