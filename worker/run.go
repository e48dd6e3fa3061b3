package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// run makes one call and responds.
func (s *session) run(r *request) {
	if s.claims != nil && r.id != ipc.InitializerID && !s.claims.Start(r.id) {
		s.respond(r, ipc.AppendFailure(s.frame[:0], r.id, ipc.Failure{Kind: ipc.FailedWithdrawn}))
		return
	}
	if s.ring != nil && s.clock == 0 {
		s.clock = time.Since(start)
		s.told = s.clock
	}
	if r.fn == nil {
		s.fail(r, ipc.Failure{Kind: ipc.FailedFunction, Message: "it has other functions"})
		return
	}
	call := r.fn.NewInvocation()
	if err := ipc.DecodeValue(r.arg, call.Arg()); err != nil {
		s.fail(r, ipc.Failure{Kind: ipc.FailedArgument, Message: err.Error()})
		return
	}
	r.arg = nil
	r.ctx.begin()
	err := call.Run(&r.ctx)
	r.ctx.end()
	if err != nil {
		var task *futures.TaskError
		errors.As(err, &task) // always: Run says so
		s.fail(r, ipc.TaskFailure(task))
		return
	}
	frame, err := ipc.AppendResult(s.frame[:0], r.id, call.Result(), s.maxBody)
	if err != nil {
		s.fail(r, ipc.Failure{Kind: ipc.FailedResult, Message: err.Error()})
		return
	}
	s.finish(r)
	s.respond(r, frame)
}

func (s *session) fail(r *request, f ipc.Failure) {
	s.finish(r)
	s.respond(r, ipc.AppendFailure(s.frame[:0], r.id, f))
}

func (s *session) finish(r *request) {
	if s.claims != nil && r.id != ipc.InitializerID {
		s.claims.Finish(r.id)
	}
}

const (
	// keepFrame is the largest buffer kept for the next response.
	keepFrame = 1 << 20

	// tellEvery is how long responses may wait in the ring while further calls run.
	tellEvery = 100 * time.Microsecond
)

// respond gives a response to the host before the next call begins: what that one may do to the process must not take the
// result of this one along. The process ends if the host does not listen any more.
func (s *session) respond(r *request, frame []byte) {
	if s.frame = frame; cap(frame) > keepFrame {
		s.frame = nil
	}
	if s.ring == nil || r.id == ipc.InitializerID || !s.leave(frame) {
		s.write(frame)
	}
}

// leave puts a response into the ring. It reports false if there is no room.
func (s *session) leave(frame []byte) bool {
	now := time.Since(start)
	took := now - s.clock
	s.clock = now
	if !s.ring.Put(ipc.Body(frame), took) {
		return false
	}
	if now-s.told > tellEvery || s.ring.Filling() {
		s.told = now
		s.tell()
	}
	return true
}

// ready says that there are responses in the ring.
var ready = ipc.AppendNotification(nil, ipc.Ready, nil)

// tell wakes a host that sleeps while there are responses in the ring.
func (s *session) tell() {
	if s.ring != nil && s.ring.Tell() {
		s.write(ready)
	}
}

func (s *session) write(frame []byte) {
	if _, err := s.responses.Write(frame); err != nil {
		fmt.Fprintf(os.Stderr, "worker: write a response: %v\n", err)
		os.Exit(3)
	}
}

func reasonOf(reason string) error {
	switch reason {
	case ipc.ReasonTimeout:
		return futures.ErrTimeout
	case ipc.ReasonDeadline:
		return context.DeadlineExceeded
	default:
		return context.Canceled
	}
}
