package procpool

import (
	"fmt"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// post leaves actions to the writer. It never waits.
func (l *link) post(actions []action) {
	l.mu.Lock()
	if actions[0].kind == actDismiss {
		l.closing = true
	} else {
		l.posted = append(l.posted, actions...)
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it has been told already
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
		batch, l.posted = l.posted, batch[:0]
		closing := l.closing
		l.mu.Unlock()
		var err error
		buf, err = l.writeBatch(buf[:0], batch)
		clear(batch)
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
		var arg []byte
		switch {
		case a.kind == actSend:
			buf = ipc.AppendRequestHead(buf, a.id, a.task.fn.name, a.task.meta(a.attempt), len(a.task.arg))
			if arg = a.task.arg; len(arg) < directWrite {
				buf, arg = append(buf, arg...), nil
			}
		case l.cancels: // a worker that cannot is left alone until it is killed
			buf = ipc.AppendNotification(buf, ipc.Cancel, ipc.CancelParam{ID: a.id, Reason: a.reason})
		}
		if arg == nil && len(buf) < directWrite && i < len(batch)-1 {
			continue
		}
		for _, b := range [][]byte{buf, arg} {
			if len(b) == 0 {
				continue
			}
			if _, err := l.process.requests.Write(b); err != nil {
				return buf, err
			}
		}
		buf = buf[:0]
		now := int64(time.Since(epoch))
		for ; written <= i; written++ {
			if t := batch[written].task; t != nil {
				t.written.Store(now)
			}
		}
	}
	return buf, nil
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
