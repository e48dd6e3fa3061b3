//go:build !wasip1

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

// run makes the calls of a request, or what is left of them, and responds to each.
func (s *session) run(r *request) {
	for r.begun < r.calls {
		if r.begun > 0 {
			s.next(r)
		}
		if !s.claim(r) {
			for ; r.begun < r.calls; r.begun++ {
				id := r.first + uint64(r.begun)
				s.respond(r, id, ipc.AppendFailure(s.frame[:0], id, ipc.Failure{Kind: ipc.FailedWithdrawn}), nil)
			}
			return
		}
		r.begun++
		s.call(r)
	}
}

// claim asks whether the next call of r may be started.
func (s *session) claim(r *request) bool {
	switch {
	case s.claims == nil || r.first == ipc.InitializerID:
		return true
	case r.begun == 0:
		return s.claims.Start(r.first)
	default:
		return s.claims.Advance(r.first, r.first+uint64(r.begun))
	}
}

// next goes on to the next call of a chunk, before it is claimed: once the host sees that it has started, it may be cancelled.
func (s *session) next(r *request) {
	if len(s.contexts) == 0 {
		s.contexts = make([]callContext, min(r.calls-r.begun, 32))
	}
	ctx := &s.contexts[0]
	s.contexts = s.contexts[1:]
	ctx.id, ctx.meta = r.ctx.id+1, &r.meta
	r.ctx = ctx
	s.begun.Store(ctx)
}

// call makes one call and responds.
func (s *session) call(r *request) {
	if s.ring != nil && s.clock == 0 {
		s.clock = time.Since(start)
		s.told = s.clock
	}
	if r.fn == nil {
		s.fail(r, ipc.Failure{Kind: ipc.FailedFunction, Message: "it has other functions"})
		return
	}
	if r.call == nil {
		r.call = r.fn.NewInvocation()
	} else {
		r.call.Reset()
	}
	call := r.call
	if err := s.decode(r, call.Arg()); err != nil {
		s.fail(r, ipc.Failure{Kind: ipc.FailedArgument, Message: err.Error()})
		return
	}
	r.ctx.begin()
	err := call.Run(r.ctx)
	r.ctx.end()
	if err != nil {
		var task *futures.TaskError
		errors.As(err, &task) // always: Run says so
		s.fail(r, ipc.TaskFailure(task))
		return
	}
	frame, result, err := s.encode(r.ctx.id, call.Result())
	if err != nil {
		s.fail(r, ipc.Failure{Kind: ipc.FailedResult, Message: err.Error()})
		return
	}
	s.finish(r)
	s.respond(r, r.ctx.id, frame, result)
}

// encode makes the response of a call that went well, and says which part of it is the result: none if that lies in the arena.
func (s *session) encode(id uint64, v any) (frame, result []byte, err error) {
	roomy := s.arena != nil && id != ipc.InitializerID
	if n := ipc.RoomFor(v); roomy && n >= ipc.MinShared {
		if room := s.arena.RoomForResult(n); room != nil {
			if result, err = ipc.AppendValue(room[:0], v); err != nil {
				return nil, nil, err
			}
			if err = ipc.CheckResult(result, s.maxResult); err != nil {
				return nil, nil, err
			}
			if p, ok := s.arena.PutResult(id, result); ok {
				return ipc.AppendPlacedResult(s.frame[:0], id, p), nil, nil
			}
		}
	}
	if frame, err = ipc.AppendResult(s.frame[:0], id, v, s.maxResult); err != nil {
		return nil, nil, err
	}
	result = ipc.ResultIn(frame)
	if roomy && len(result) >= ipc.MinShared {
		if p, ok := s.arena.PutResult(id, result); ok {
			return ipc.AppendPlacedResult(frame[:0], id, p), nil, nil
		}
	}
	return frame, result, nil
}

// decode takes the next argument.
func (s *session) decode(r *request, into any) error {
	if !r.chunk {
		arg := r.args
		r.args = nil
		return ipc.DecodeValue(arg, into)
	}
	arg, rest, err := ipc.CutValue(r.args)
	r.args = rest // first: a decoding method may do anything
	if err != nil {
		return err
	}
	return ipc.DecodeValue(arg, into)
}

func (s *session) fail(r *request, f ipc.Failure) {
	s.finish(r)
	s.respond(r, r.ctx.id, ipc.AppendFailure(s.frame[:0], r.ctx.id, f), nil)
}

// finish says that a call is over. For a call of a chunk the beginning of the next one says so.
func (s *session) finish(r *request) {
	if s.claims != nil && !r.chunk && r.first != ipc.InitializerID {
		s.claims.Finish(r.first)
	}
}

const (
	// keepFrame is the largest buffer kept for the next response.
	keepFrame = 1 << 20

	// tellEvery is how long responses may wait in the ring while further calls run.
	tellEvery = 300 * time.Microsecond
)

// respond gives a response to the host before the next call begins: what that one may do to the process must not take the
// result of this one along. The process ends if the host does not listen any more. result is a part of frame, unless the
// call failed or its result lies in the arena.
func (s *session) respond(r *request, id uint64, frame, result []byte) {
	if s.frame = frame; cap(frame) > keepFrame {
		s.frame = nil
	}
	if s.ring == nil || id == ipc.InitializerID || !s.leave(id, frame, result, r.begun < r.calls) {
		s.write(frame)
	}
}

// leave puts a response into the ring; more says that the next call follows at once. It reports false if there is no room.
func (s *session) leave(id uint64, frame, result []byte, more bool) bool {
	e := ipc.Entry{ID: id, Result: result, Body: ipc.Body(frame)}
	if s.untimed++; s.untimed >= s.timeEvery || !more {
		now := time.Since(start)
		e.Took = now - s.clock
		s.clock, s.timeEvery = now, 1
		if e.Took/time.Duration(s.untimed) < shortCall {
			s.timeEvery = timedTogether
		}
		s.untimed = 0
	}
	if !s.ring.Put(e) {
		return false
	}
	if s.clock-s.told > tellEvery || s.ring.Filling() || s.reading.Load() {
		s.told = s.clock
		s.tell()
	}
	return true
}

// A look at the clock costs as much as the shortest calls, so short ones of a chunk are timed together.
const (
	shortCall     = 5 * time.Microsecond
	timedTogether = 8
)

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
	if s.ring != nil {
		s.ring.Wake()
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
