package procpool

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// post leaves actions to the writer. It never waits. A call that is alone with its worker is written by the caller instead, if
// that has submitted it: it must call writeNow then, without any lock.
func (l *link) post(actions []action, own bool) (writeNow bool) {
	first := actions[0]
	l.mu.Lock()
	switch first.kind {
	case actDismiss:
		l.closing = true
	case actSend:
		for _, a := range actions {
			l.sent.Add(int64(a.n))
		}
		fallthrough
	default:
		l.posted = append(l.posted, actions...)
	}
	if own && first.alone && first.short() && len(l.posted) == 1 && !l.writing && !l.closing {
		l.writing = true
		l.lonely.Add(1)
		first.task.alone.Store(l)
		l.mu.Unlock()
		return true
	}
	l.mu.Unlock()
	l.wakeWriter()
	if first.kind == actSend {
		l.attend()
	}
	return false
}

func (l *link) wakeWriter() {
	select {
	case l.wake <- struct{}{}:
	default: // it has been told already
	}
}

// short reports whether a pipe takes the request as a whole.
func (a action) short() bool {
	const around = 128 // the argument and the name
	return around+len(a.task.fn.name)+len(a.task.arg) <= atomicWrite
}

// writeNow writes the call that post has left to its caller. It does not wait: what the pipe does not take at once is the
// writer's.
func (l *link) writeNow() {
	l.mu.Lock()
	a := l.posted[0]
	l.mu.Unlock()
	l.now = append(ipc.AppendRequestHead(l.now[:0], a.id, a.task.fn.name, a.task.meta(a.attempt), len(a.task.arg)), a.task.arg...)
	gone := l.process.tryWrite(l.now)
	if gone {
		a.task.written.Store(int64(time.Since(epoch)))
	}
	l.mu.Lock()
	if gone {
		l.posted = slices.Delete(l.posted, 0, 1)
	}
	l.writing = false
	more := len(l.posted) > 0 || l.closing
	l.mu.Unlock()
	if more {
		l.wakeWriter()
	}
}

// write is the writer's life. A worker that does not read holds up its own writer and nobody else.
func (l *link) write() {
	var batch []action
	var buf []byte
	for {
		select {
		case <-l.wake:
		case <-l.stop:
			return
		}
		l.mu.Lock()
		if l.writing { // writeNow, which wakes this one if there is more
			l.mu.Unlock()
			continue
		}
		l.writing = true
		batch, l.posted = l.posted, batch[:0]
		closing := l.closing
		l.mu.Unlock()
		var err error
		buf, err = l.writeBatch(buf[:0], batch)
		clear(batch)
		l.mu.Lock()
		l.writing = closing || err != nil // nobody writes after this
		l.mu.Unlock()
		if err != nil {
			l.giveUp(err)
			return
		}
		if closing {
			_ = l.process.requests.Close() // the worker takes it as its leave
			return
		}
	}
}

// directWrite is the size of an argument from which on it is written from where it is, instead of being copied together
// with others.
const directWrite = 32 << 10

// writeBatch writes what was posted, using buf, and notes of each call when its request had gone as a whole.
func (l *link) writeBatch(buf []byte, batch []action) ([]byte, error) {
	written := 0 // so many of batch
	for i, a := range batch {
		var large []byte // follows buf
		switch {
		case a.kind == actSend:
			if len(buf) > 0 && len(a.args()) >= ipc.MinShared { // which should not wait for a long copy
				if err := l.writeOut(buf, nil, batch[written:i]); err != nil {
					return buf, err
				}
				buf, written = buf[:0], i
			}
			buf, large = l.appendCalls(buf, a)
		case l.cancels: // a worker that cannot is left alone until it is killed
			buf = ipc.AppendNotification(buf, ipc.Cancel, ipc.CancelParam{ID: a.id, Reason: a.reason})
		}
		if large == nil && len(buf) < directWrite && i < len(batch)-1 {
			continue
		}
		if err := l.writeOut(buf, large, batch[written:i+1]); err != nil {
			return buf, err
		}
		buf, written = buf[:0], i+1
	}
	return buf, nil
}

// appendCalls appends the message that sends what a says. Large arguments come back by themselves: they follow the message.
func (l *link) appendCalls(buf []byte, a action) (out, large []byte) {
	name, meta, args := a.task.fn.name, a.task.meta(a.attempt), a.args()
	switch {
	case a.n > 1:
		buf = ipc.AppendChunkHead(buf, a.id, name, meta, int(a.n), len(args))
	case l.arena != nil && len(args) >= ipc.MinShared:
		if p, ok := l.arena.PutArgument(a.id, args); ok {
			return ipc.AppendPlacedRequest(buf, a.id, name, meta, p), nil
		}
		fallthrough
	default:
		buf = ipc.AppendRequestHead(buf, a.id, name, meta, len(args))
	}
	if len(args) < directWrite {
		return append(buf, args...), nil
	}
	return buf, args
}

// args are the encoded arguments of the calls that an action sends.
func (a action) args() []byte {
	if v := a.task.span; v != nil {
		return v.chunk.Args(int(a.from), int(a.from+a.n))
	}
	return a.task.arg
}

// writeOut writes buf, and large after it if there is that, with which the calls of batch have gone.
func (l *link) writeOut(buf, large []byte, batch []action) error {
	for _, b := range [][]byte{buf, large} {
		if len(b) == 0 {
			continue
		}
		if _, err := l.process.requests.Write(b); err != nil {
			return err
		}
	}
	now := int64(time.Since(epoch))
	for _, a := range batch {
		if a.task != nil {
			a.task.written.Store(now)
		}
	}
	return nil
}

// giveUp is what becomes of a worker that cannot be written to. It is ending as a rule, and the reader sees its end; one that has
// closed its requests and goes on would keep its calls for ever.
func (l *link) giveUp(err error) {
	select {
	case <-l.stop:
	case <-l.process.exited:
	case <-time.After(exitTime):
		l.mu.Lock()
		l.cause = fmt.Errorf("%w: it has closed its requests: %w", ipc.ErrProtocol, err)
		l.mu.Unlock()
		l.process.signal(syscall.SIGKILL)
	}
}
