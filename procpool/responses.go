package procpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// pipeSize is more than a pipe holds.
const pipeSize = 1 << 20

// responses reads what a worker writes. Once the process has ended a deadline holds, since somebody else may have kept the
// pipe open; but what the process had written is read to its end, however long the host takes over each response.
type responses struct {
	process *process
	grace   int // bytes that may be read beyond the deadline
}

func (r *responses) Read(p []byte) (int, error) {
	n, err := r.process.responses.Read(p)
	if r.grace <= 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	select {
	case <-r.process.exited:
	default:
		return n, err // it was the deadline of the start
	}
	_ = r.process.responses.SetReadDeadline(time.Now().Add(drainTime)) // fails only for a file that is closed
	n, err = r.process.responses.Read(p[:min(len(p), r.grace)])
	r.grace -= n
	return n, err
}

// readAll is read in a goroutine of its own, and in another one when that is lost: a result's decoding method may leave by
// runtime.Goexit, which fails its call and nothing else.
func (l *link) readAll(frames *ipc.Reader) error {
	for {
		over := make(chan error, 1)
		go func() { // ends with over, which readAll waits for
			defer close(over)
			over <- l.read(frames)
		}()
		if cause, returned := <-over; returned {
			return cause
		}
	}
}

// read takes in responses and settles their calls, until the worker closes its end, which is no error, or breaks the
// protocol.
func (l *link) read(frames *ipc.Reader) error {
	for {
		body, err := frames.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil // the deadline is set when the process has ended: somebody else holds the pipe
		}
		if err != nil {
			return fmt.Errorf("read a response: %w", err)
		}
		m, err := ipc.ParseMessage(body)
		if err != nil {
			return err
		}
		switch m.Kind {
		case ipc.KindNotification: // of a later version
		case ipc.KindResponse:
			if err := l.settle(m); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: a worker makes no requests", ipc.ErrProtocol)
		}
	}
}

// settle gives a call its outcome.
func (l *link) settle(m ipc.Message) error {
	var f ipc.Failure
	if len(m.Failure) > 0 {
		if err := ipc.DecodeParam(m.Failure, &f); err != nil {
			return err
		}
	}
	var t *task
	var err error
	l.tell(func(s *state, now time.Time) {
		t, err = s.answered(l.id, m.ID, f.Kind == ipc.FailedWithdrawn, now)
	})
	switch {
	case err != nil:
		return err
	case t == nil: // it was withdrawn
	case len(m.Failure) > 0:
		t.call.Reject(t.explain(f.Err(t.fn.name)))
	default:
		t.take(m.Value)
	}
	return nil
}

// take settles the call with an encoded result.
func (t *task) take(result []byte) {
	decoded := false
	defer func() {
		if !decoded {
			t.call.Reject(fmt.Errorf("procpool: the result of %s: %w: its decoding method called runtime.Goexit", t.fn.name, futures.ErrNotShareable))
		}
	}()
	err := ipc.DecodeValue(result, t.call.Out())
	decoded = true
	if err != nil {
		t.call.Reject(fmt.Errorf("procpool: the result of %s: %w", t.fn.name, err))
		return
	}
	t.call.Resolve()
}

// explain adds the reason of the interruption to the failure of a function that gave in to it.
func (t *task) explain(err error) error {
	var failed *futures.TaskError
	gaveIn := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if t.interrupted != nil && gaveIn && errors.As(err, &failed) && !errors.Is(err, t.interrupted) {
		failed.Causes = append(failed.Causes, t.interrupted)
	}
	return err
}
