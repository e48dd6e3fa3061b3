package procpool

import (
	"fmt"
	"time"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// What the state makes of the answers of its workers.

// An answer is a worker's to its oldest call, or to several in a row that all went well.
type answer struct {
	id        uint64        // of the first
	calls     int           // how many
	withdrawn bool          // the worker did not run it
	took      time.Duration // how long they ran in all; zero if the worker does not say

	response        // what was said of a single call
	row      []byte // what the ring has said of several
}

// An outcome is what follows from an answer, or a part of it, for calls of one task.
type outcome struct {
	answer      int   // which of the answers
	task        *task // nil if the call was withdrawn
	n, calls    int   // which of its calls is the first, and how many
	interrupted error // why that was interrupted, if it was
}

// answered takes in answers to the oldest calls of a worker, so many in all, and appends what follows. A worker that answers anything else
// has broken the protocol: the error comes with what follows from what it said before that.
func (s *state) answered(id workerID, answers []answer, calls int, outcomes []outcome, now time.Time) ([]outcome, error) {
	w := s.worker(id)
	share := now.Sub(w.since) / time.Duration(max(calls, 1))
	relieved := false
	for i := range answers {
		a := &answers[i]
		each := a.took / time.Duration(a.calls)
		if each == 0 {
			each = share
		}
		for next, left := a.id, a.calls; left > 0; {
			if len(w.calls) == 0 || w.calls[0].due() != next {
				return outcomes, fmt.Errorf("%w: an answer to call %d, which is not the oldest one sent", ipc.ErrProtocol, next)
			}
			f := &w.calls[0]
			n := w.mayAnswer(f, left, a.withdrawn)
			if n == 0 {
				return outcomes, fmt.Errorf("%w: call %d was answered against its claim, %v", ipc.ErrProtocol, next, w.claimState(f))
			}
			o := outcome{answer: i, calls: n}
			t := f.task
			guilty := t != nil && next <= t.overdueID && t.overdueID < next+uint64(n)
			relieved = relieved || w.overdue == nil || w.overdue == t && guilty
			if f.done < f.cut {
				w.load -= time.Duration(n) * f.cost
			}
			if a.withdrawn {
				w.sent-- // it does not count as a call that the worker has run
			} else {
				o.task, o.n = t, t.first()+int(f.done)
				if guilty {
					o.interrupted, t.interrupted = t.interrupted, nil // the next call of a chunk was not
				}
				s.futile = 0
				s.stats.Answered += n
				t.fn.measured(each, n)
			}
			outcomes = append(outcomes, o)
			if f.done += int32(n); f.done == f.n {
				w.calls[0] = flight{}
				w.calls = w.calls[1:]
			}
			next += uint64(n)
			left -= n
		}
	}
	w.since = now
	s.recount(w)
	s.toWeigh(w, now)
	if (w.phase == ready || w.phase == retiring) && relieved {
		w.overdue, w.killAt, w.lastChance = nil, time.Time{}, false
	}
	switch {
	case len(w.calls) > 0:
		s.pursue(w, now)
		s.hurry(w, now)
		s.watch(w, now)
	case w.phase == retiring:
		s.dismiss(w, now)
	case w.phase == ready:
		s.idle(w, now)
	}
	s.advance(now)
	return outcomes, nil
}

// mayAnswer holds a worker's answer to n calls of f, from the one that is due, against the claims: for how many of them it is in order. A worker may only
// say that a call was withdrawn if this host did it, and that it ran one if this host did not.
func (w *workerState) mayAnswer(f *flight, n int, withdrawn bool) int {
	switch {
	case withdrawn && (w.claims == nil || !f.withdrawn()):
		return 0
	case withdrawn || w.claims == nil:
		return 1
	case f.n == 1:
		if f.done < f.cut && w.claims.State(f.id) != ipc.ClaimWithdrawn {
			return 1
		}
		return 0
	}
	n = min(n, int(f.cut-f.done))
	if last := f.due() + uint64(n) - 1; f.seen < last {
		f.seen, _ = w.claims.Running(f.id, f.last())
	}
	return max(0, min(n, int(int64(f.seen)-int64(f.due())+1)))
}

func (w *workerState) claimState(f *flight) string {
	if w.claims == nil {
		return "without claims"
	}
	return w.claims.State(f.id).String()
}
