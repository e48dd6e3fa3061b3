package procpool

import (
	"time"
)

// A call that is alone with its worker costs no change of goroutines: whoever submits it writes the request, and whoever waits for it reads the
// response. Meanwhile the link's reader stands by. It reads again as soon as there is more than that to do, or nobody does it.

// leadTime is how long a goroutine that waits for a call reads responses. For a call that takes longer the change of
// goroutines does not matter.
const leadTime = time.Millisecond

// leadSteps bounds what a worker can make it do in that time.
const leadSteps = 8

// lead reads responses in the goroutine of somebody who waits for t, unless somebody reads already. It returns when t is
// settled, or when somebody else should go on.
func (l *link) lead(t *task) {
	if !l.reads.TryLock() {
		return
	}
	defer l.reads.Unlock() // also when a decoding method leaves by runtime.Goexit, or a panic
	done := false
	for step := 0; step < leadSteps && !done; step++ {
		more := false
		if done, more = l.leadStep(t); !more {
			break
		}
	}
	if !done || l.sent.Load() > 0 {
		l.attend()
	}
}

// leadStep takes in the response to t, or waits for it. It reports whether t is answered and settled, and otherwise whether another step makes sense. What
// is not that simple it leaves to the reader.
func (l *link) leadStep(t *task) (done, more bool) {
	in := &l.in
	if in.settled < len(in.outcomes) || in.broken != nil || in.ended {
		return false, false
	}
	in.collect()
	if len(in.answers) > 0 {
		l.answered()
		if in.broken != nil || len(in.outcomes) != 1 || in.outcomes[0].task != t || in.outcomes[0].calls != 1 {
			return false, false
		}
		in.settleNext()
		return true, false
	}
	if in.broken != nil {
		return false, false
	}
	if in.dozes && len(in.entries) == 0 {
		return false, in.ring.Doze(leadTime) // what comes through the pipe is the reader's
	}
	if !in.asleep() {
		return false, true
	}
	if !in.frames.Ready() {
		if !l.process.readable(leadTime) {
			return false, false
		}
		in.frames.Fill()
	}
	if !in.frames.Ready() {
		return false, false // part of a frame: the rest may take its time
	}
	in.wait()
	return false, !in.ended
}

// attend sees to it that the reader reads.
func (l *link) attend() {
	if !l.standing.Load() {
		return
	}
	select {
	case l.sought <- struct{}{}:
	default: // it has been told already
	}
}

// standBy lets others read for as long as calls come and go that are alone with the worker. It is called with reads held,
// and returns with it; it reports false if it did not let go of it. seen is the number of such calls when it was asked last.
func (l *link) standBy(seen *int64) bool {
	lonely := l.lonely.Load()
	if lonely == *seen {
		return false
	}
	*seen = lonely
	select {
	case <-l.sought: // of the last time
	default:
	}
	l.standing.Store(true)
	defer l.standing.Store(false)
	if l.sent.Load() > 0 {
		return false // it may have come before standing was seen
	}
	l.reads.Unlock()
	defer l.reads.Lock() // whoever reads returns within leadTime
	tick := time.NewTicker(leadTime)
	defer tick.Stop()
	for {
		select {
		case <-l.sought:
			return true
		case <-l.process.exited:
			return true
		case <-tick.C:
		}
		lonely := l.lonely.Load()
		if lonely == *seen {
			return true // nobody came, or nobody cares for the one who did
		}
		*seen = lonely
	}
}
