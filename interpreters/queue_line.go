package interpreters

import "container/list"

// A line is who waits for one side of a queue, for items or for room. It is used with the queue's mu held.
//
//	          join                   serve
//	(nobody) ─────▶ waits in line ─────────▶ served          this program: it has its item, or its item is in
//	                     ▲   │ tell
//	             rejoin  │   ▼
//	                     told ───── leave ──▶ (nobody)       a guest: it has looked, or does not wait any more
//
// This program's goroutines are served on the spot, so that nobody can come between. A guest is only told that it is worth a look, for it
// cannot take anything while nobody runs it: what it was told of stays in the queue, is counted in told so that it is offered to nobody
// behind, and is offered to the next if the guest leaves without it.
type line struct {
	waiting list.List // of *waiter, the first in line in front
	told    int       // guests that have not looked yet
}

// A waiter is somebody in a line.
type waiter struct {
	at *list.Element // its place; nil once it was served or told

	// Of a goroutine of this program.
	item item          // to be put, or that was got
	err  error         // instead
	done chan struct{} // closed when it is served

	// Of a guest.
	port   *queuePort
	ticket uint64
	queue  *Queue
	line   *line
	asleep bool // it was taken out of the line: see queuePort
	rung   bool // and has not looked since
}

func (l *line) join(w *waiter) { w.at = l.waiting.PushBack(w) }

// next takes the first out of the line. Who is of this program must be served now; a guest was told.
func (l *line) next() *waiter {
	w := l.waiting.Remove(l.waiting.Front()).(*waiter)
	w.at = nil
	if w.port != nil {
		l.told++
		w.tell()
	}
	return w
}

// leave is for who waits no more, or for a guest that was told and has looked.
func (l *line) leave(w *waiter) {
	if w.at != nil {
		l.waiting.Remove(w.at)
		w.at = nil
	} else if w.port != nil {
		l.told--
	}
}

// rejoin is for a guest that has looked and found nothing: it is the first again, unless it is in line anyway.
func (l *line) rejoin(w *waiter) {
	if w.at == nil {
		l.told--
		w.at = l.waiting.PushFront(w)
	}
}

// tell rings a guest.
func (w *waiter) tell() {
	if !w.rung {
		w.rung = true
		w.port.ring(w.ticket)
	}
}

// looked is what a guest has done since it was rung. It does nothing to nobody.
func (w *waiter) looked() {
	if w != nil && w.rung {
		w.rung = false
		w.port.unring(w.ticket)
	}
}

// serve ends the wait of a goroutine of this program; a guest will see for itself.
func (w *waiter) serve(it item, err error) {
	if w.port == nil {
		w.item, w.err = it, err
		close(w.done)
	}
}
