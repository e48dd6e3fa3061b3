package procpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
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
func (l *link) readAll() error {
	for {
		over := make(chan error, 1)
		go func() { // ends with over, which readAll waits for
			defer close(over)
			over <- l.read()
		}()
		if cause, returned := <-over; returned {
			return cause
		}
	}
}

// inbound is what a worker has answered: some of it through the pipe, some through the ring, and all of it in the order of
// the calls.
type inbound struct {
	frames *ipc.Reader
	ring   *ipc.Ring   // nil if everything comes through the pipe
	dozes  bool        // the worker wakes whoever waits for the ring
	arena  *ipc.Arena  // nil if every result is in its response
	due    uint64      // the call whose response is next
	ended  bool        // nothing more will come through the pipe
	lost   error       // why, if that was not its end
	silent atomic.Bool // somebody waits, and nothing has come

	entries []byte      // from the ring, not looked at
	store   []byte      // of which entries, and the messages of batch, are a part
	piped   ipc.Message // a response from the pipe that is not in batch
	isPiped bool

	batch   []response // whose answers the state knows
	answers []answer   // to tell the state
	settled int        // so many of batch
	broken  error      // the breach of the protocol that came after batch
}

// response is what a worker made of a call.
type response struct {
	failure *ipc.Failure // nil if it went well
	value   []byte       // the encoded result
	placed  bool         // in the arena
}

// collect makes batch of all that can be had without waiting.
func (in *inbound) collect() {
	in.batch, in.answers, in.settled = in.batch[:0], in.answers[:0], 0
	if in.ring != nil && len(in.entries) == 0 {
		in.store, in.broken = in.ring.Take(in.store[:0])
		in.entries = in.store
	}
	for in.broken == nil {
		var e ipc.Entry
		var found bool
		var r response
		if e, found, in.broken = in.next(); in.broken != nil || !found {
			break
		}
		if r, in.broken = in.response(e); in.broken != nil {
			break
		}
		in.due++
		in.batch = append(in.batch, r)
		in.answers = append(in.answers, answer{id: e.ID, withdrawn: r.failure != nil && r.failure.Kind == ipc.FailedWithdrawn, took: e.Took})
	}
}

// next finds the response that is due, in the ring or from the pipe. One that is not due, and that nothing else can come before, it finds
// as well: the state says what is wrong with it.
func (in *inbound) next() (e ipc.Entry, found bool, err error) {
	if len(in.entries) > 0 {
		var rest []byte
		if e, rest, err = ipc.CutEntry(in.entries); err != nil {
			return ipc.Entry{}, false, err
		}
		if e.ID == in.due {
			in.entries = rest
			return e, true, nil
		}
	}
	switch {
	case in.isPiped && (in.piped.ID == in.due || len(in.entries) == 0):
		in.isPiped = false
		return ipc.Entry{ID: in.piped.ID}, true, nil
	case len(in.entries) > 0 && (in.isPiped || e.ID < in.due):
		return e, true, nil
	default:
		return ipc.Entry{}, false, nil
	}
}

// response makes something of what next has found.
func (in *inbound) response(e ipc.Entry) (r response, err error) {
	if e.Result != nil {
		return response{value: e.Result}, nil
	}
	m := in.piped
	if e.Body != nil {
		if m, err = ipc.ParseMessage(e.Body); err != nil {
			return r, err
		}
		if !in.isResponse(m) || m.ID != e.ID {
			return r, fmt.Errorf("%w: the ring holds responses and nothing else", ipc.ErrProtocol)
		}
	}
	if m.Kind == ipc.KindPlacedResponse {
		r.placed = true
		r.value, err = in.arena.Result(m.Place)
		return r, err
	}
	r.value = m.Value
	if len(m.Failure) > 0 {
		r.failure = new(ipc.Failure)
		err = ipc.DecodeParam(m.Failure, r.failure)
	}
	return r, err
}

func (in *inbound) isResponse(m ipc.Message) bool {
	return m.Kind == ipc.KindResponse || m.Kind == ipc.KindPlacedResponse && in.arena != nil
}

// asleep makes sure that a worker that leaves a response in the ring says so. It reports false if there is one already.
func (in *inbound) asleep() bool {
	return in.ring == nil || len(in.entries) > 0 || in.ring.Sleep()
}

// wait waits for a frame from the pipe: a response, or word that there is one in the ring. What is in the ring when the pipe is over still
// counts.
func (in *inbound) wait() {
	in.silent.Store(true)
	in.frames.Await()
	in.silent.Store(false)
	switch err := in.receive(); {
	case err == nil:
	case errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded):
		in.ended = true // the deadline is set when the process has ended: somebody else holds the pipe
	default:
		in.ended, in.lost = true, err
	}
}

func (in *inbound) receive() error {
	body, err := in.frames.Next()
	if err != nil {
		return fmt.Errorf("read a response: %w", err)
	}
	m, err := ipc.ParseMessage(body)
	if err != nil {
		return err
	}
	switch {
	case m.Kind == ipc.KindNotification: // that something is in the ring, or of a later version
	case in.isResponse(m):
		in.piped, in.isPiped = m, true
	default:
		return fmt.Errorf("%w: a worker sends no such message", ipc.ErrProtocol)
	}
	return nil
}

// read takes in responses and settles their calls, until the worker closes its end, which is no error, or breaks the
// protocol. It is called with reads held, and lets go of it only while it stands by.
func (l *link) read() error {
	in := &l.in
	seen := l.lonely.Load()
	for {
		for in.settled < len(in.answers) { // also those that were left by a goroutine that was lost
			in.settleNext()
		}
		if in.broken != nil {
			return in.broken
		}
		last := in.ended
		in.collect()
		switch {
		case len(in.answers) > 0:
			l.answered()
		case in.broken != nil:
			return in.broken
		case last:
			return in.lost
		case l.standBy(&seen) || !in.asleep():
		default:
			in.wait()
		}
	}
}

// answered tells the state of the answers.
func (l *link) answered() {
	in := &l.in
	l.sent.Add(int64(-len(in.answers)))
	var n int
	var err error
	l.pool.update(func(s *state, now time.Time) { n, err = s.answered(l.id, in.answers, now) })
	if err != nil {
		in.answers, in.broken = in.answers[:n], err
	}
	if n > 0 && l.arena != nil {
		l.arena.Answered(in.answers[n-1].id)
	}
}

// settleNext gives the call of the oldest answer its outcome, and forgets both.
func (in *inbound) settleNext() {
	i := in.settled
	in.settled++
	a, r := in.answers[i], in.batch[i]
	in.answers[i], in.batch[i] = answer{}, response{}
	if a.task != nil {
		a.settle(r)
	}
	if r.placed {
		in.arena.Take(a.id)
	}
}

// settle gives a call its outcome.
func (a answer) settle(r response) {
	if r.failure != nil {
		a.task.reject(a.n, explain(r.failure.Err(a.task.fn.name), a.interrupted))
		return
	}
	decoded := false
	defer func() {
		if !decoded {
			a.task.reject(a.n, fmt.Errorf("procpool: the result of %s: %w: its decoding method called runtime.Goexit", a.task.fn.name, futures.ErrNotShareable))
		}
	}()
	decode := ipc.DecodeValue
	if r.placed {
		decode = ipc.DecodeShared
	}
	err := decode(r.value, a.task.out(a.n))
	decoded = true
	if err != nil {
		a.task.reject(a.n, fmt.Errorf("procpool: the result of %s: %w", a.task.fn.name, err))
		return
	}
	a.task.resolve(a.n)
}

// explain adds the reason of the interruption to the failure of a function that gave in to it.
func explain(err, interrupted error) error {
	var failed *futures.TaskError
	gaveIn := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if interrupted != nil && gaveIn && errors.As(err, &failed) && !errors.Is(err, interrupted) {
		failed.Causes = append(failed.Causes, interrupted)
	}
	return err
}
