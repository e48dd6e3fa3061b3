package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// serve shakes hands with the host and serves until it lets go.
func serve(table offered) error {
	versions := os.Getenv("PLUGIN_PROTOCOL_VERSIONS")
	forgetHost()
	if err := checkVersion(versions); err != nil {
		return err
	}
	pipes, err := inherit()
	if err != nil {
		return err
	}
	if _, err := fmt.Println(ipc.HandshakeLine); err != nil {
		return fmt.Errorf("write the handshake line: %w", err)
	}
	features := []string{ipc.FeatureCancel}
	if pipes.claims != nil {
		features = append(features, ipc.FeatureClaims)
	}
	hello := ipc.HelloParam{Protocol: ipc.Version, PID: os.Getpid(), Build: build(), Features: features, Functions: table.list}
	if _, err := pipes.responses.Write(ipc.AppendNotification(nil, ipc.Hello, hello)); err != nil {
		return fmt.Errorf("write hello: %w", err)
	}
	frames := ipc.NewReader(pipes.requests, ipc.MaxHello)
	welcome, err := readWelcome(frames)
	if err != nil {
		return err
	}
	frames.SetLimit(welcome.MaxBody)
	s := &session{table: table, responses: pipes.responses, maxBody: welcome.MaxBody}
	s.arrived.L = &s.mu
	if slices.Contains(welcome.Features, ipc.FeatureClaims) {
		if s.claims, err = ipc.NewClaims(pipes.claims); err != nil {
			return err
		}
	}
	go s.run() // ends with the process
	return s.read(frames)
}

func readWelcome(frames *ipc.Reader) (w ipc.WelcomeParam, err error) {
	body, err := frames.Next()
	if err != nil {
		return w, fmt.Errorf("read welcome: %w", err)
	}
	m, err := ipc.ParseMessage(body)
	if err != nil {
		return w, fmt.Errorf("read welcome: %w", err)
	}
	if m.Kind != ipc.KindNotification || string(m.Name) != ipc.Welcome {
		return w, fmt.Errorf("%w: expected welcome, got %q", ipc.ErrProtocol, body[:min(32, len(body))])
	}
	if err := ipc.DecodeParam(m.Value, &w); err != nil {
		return w, fmt.Errorf("read welcome: %w", err)
	}
	if w.Protocol != ipc.Version {
		return w, fmt.Errorf("%w: the host speaks version %d, this worker version %d", ipc.ErrProtocol, w.Protocol, ipc.Version)
	}
	return w, nil
}

// session is a worker after the handshake. Its reader is the main goroutine; its runner runs the calls.
type session struct {
	table     offered
	claims    *ipc.Claims // nil if calls come one at a time
	responses *os.File
	maxBody   uint32
	frame     []byte // the runner's: the response in the making

	mu      sync.Mutex
	arrived sync.Cond  // signalled for each request
	queue   []*request // oldest first
	current *request   // taken by the runner
}

// request is one call, from its arrival to its response.
type request struct {
	id     uint64
	fn     futures.Callable // nil if there is none
	meta   ipc.Meta
	arg    []byte
	cancel context.CancelCauseFunc // set while the function runs; guarded by the session's mu, like cause
	cause  error                   // why it was cancelled, if it was
}

// read takes in frames until the host lets go: nil at the end of the stream.
func (s *session) read(frames *ipc.Reader) error {
	for {
		body, err := frames.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a frame: %w", err)
		}
		m, err := ipc.ParseMessage(body)
		if err != nil {
			return err
		}
		switch {
		case m.Kind == ipc.KindRequest:
			r, err := s.newRequest(m)
			if err != nil {
				return err
			}
			s.mu.Lock()
			s.queue = append(s.queue, r)
			s.mu.Unlock()
			s.arrived.Signal()
			if frames.Buffered() == 0 {
				// The runner is next in line on this processor, which would be stuck with the reader in its system call.
				runtime.Gosched()
			}
		case m.Kind == ipc.KindNotification && string(m.Name) == ipc.Cancel:
			var c ipc.CancelParam
			if err := ipc.DecodeParam(m.Value, &c); err != nil {
				return err
			}
			s.cancel(c)
		}
	}
}

// newRequest copies what outlives the frame.
func (s *session) newRequest(m ipc.Message) (*request, error) {
	r := &request{id: m.ID, fn: s.table.byName[string(m.Name)], arg: slices.Clone(m.Value)}
	if len(m.Meta) > 0 {
		if err := ipc.DecodeParam(m.Meta, &r.meta); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// cancel makes the ctx of a call done, now or when it starts. A call that is over is left alone.
func (s *session) cancel(c ipc.CancelParam) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.current
	if r == nil || r.id != c.ID {
		i := slices.IndexFunc(s.queue, func(r *request) bool { return r.id == c.ID })
		if i < 0 {
			return
		}
		r = s.queue[i]
	}
	if c.Reason == ipc.ReasonTimeout && r.meta.Timeout != 0 || c.Reason == ipc.ReasonDeadline && r.meta.Deadline != 0 {
		return // the ctx has the same bound, and says what a ctx says when its time is over
	}
	r.cause = reasonOf(c.Reason)
	if r.cancel != nil {
		r.cancel(r.cause)
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

// run is the runner's life: calls in the order of their arrival. It never returns; the process ends under it.
func (s *session) run() {
	defer func() {
		// A function left by runtime.Goexit, and took the goroutine with it.
		if r := s.current; r != nil {
			s.fail(r, ipc.TaskFailure(futures.GoexitError(r.fn.Name())))
		}
		go s.run()
	}()
	for {
		s.serve(s.next())
	}
}

// next waits for a request.
func (s *session) next() *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
	for len(s.queue) == 0 {
		s.arrived.Wait()
	}
	s.current = s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	return s.current
}

// serve makes one call and responds.
func (s *session) serve(r *request) {
	if s.claims != nil && r.id != ipc.InitializerID && !s.claims.Start(r.id) {
		s.respond(ipc.AppendFailure(s.frame[:0], r.id, ipc.Failure{Kind: ipc.FailedWithdrawn}))
		return
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
	ctx, release := s.contextOf(r)
	err := call.Run(ctx)
	release()
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
	s.respond(frame)
}

func (s *session) fail(r *request, f ipc.Failure) {
	s.finish(r)
	s.respond(ipc.AppendFailure(s.frame[:0], r.id, f))
}

// keepFrame is the largest buffer kept for the next response.
const keepFrame = 1 << 20

// respond writes a response before the next call begins: what that one may do to the process must not take the result of
// this one along. The process ends if the host does not listen any more.
func (s *session) respond(frame []byte) {
	if _, err := s.responses.Write(frame); err != nil {
		fmt.Fprintf(os.Stderr, "worker: write a response: %v\n", err)
		os.Exit(3)
	}
	if s.frame = frame; cap(frame) > keepFrame {
		s.frame = nil
	}
}

func (s *session) finish(r *request) {
	if s.claims != nil && r.id != ipc.InitializerID {
		s.claims.Finish(r.id)
	}
}

// contextOf makes the function's ctx: bounded by the caller's deadline and the call's timeout, and done on a cancel.
func (s *session) contextOf(r *request) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	release := func() { cancel(nil) }
	s.mu.Lock()
	r.cancel = cancel
	if r.cause != nil {
		cancel(r.cause)
	}
	s.mu.Unlock()
	if r.meta.Deadline != 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, time.Unix(0, r.meta.Deadline))
		release = join(release, stop)
	}
	if r.meta.Timeout != 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, time.Duration(r.meta.Timeout), futures.ErrTimeout)
		release = join(release, stop)
	}
	return ctx, release
}

func join(f, g func()) func() { return func() { f(); g() } }
