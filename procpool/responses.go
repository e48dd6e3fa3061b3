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
	limit  resultLimit // of each result
	due    uint64      // the call whose response is next
	ended  bool        // nothing more will come through the pipe
	lost   error       // why, if that was not its end
	silent atomic.Bool // somebody waits, and nothing has come

	entries []byte      // from the ring, not looked at
	store   []byte      // of which entries, and what answers hold, are a part
	piped   ipc.Message // a response from the pipe that is not in answers
	isPiped bool

	answers  []answer  // to tell the state
	outcomes []outcome // what it has made of them
	settled  int       // so many of outcomes
	broken   error     // the breach of the protocol that came after them
}

// response is what a worker made of a call.
type response struct {
	failure *ipc.Failure // nil if it went well
	value   []byte       // the encoded result
	placed  bool         // in the arena
}

// collect makes answers of all that can be had without waiting.
func (in *inbound) collect() {
	in.answers, in.outcomes, in.settled = in.answers[:0], in.outcomes[:0], 0
	if in.ring != nil && len(in.entries) == 0 {
		in.store, in.broken = in.ring.Take(in.store[:0])
		in.entries = in.store
	}
	for in.broken == nil {
		if a := in.row(); a.calls > 0 {
			in.answers = append(in.answers, a)
			continue
		}
		e, found, err := in.next()
		if err == nil && !found {
			break
		}
		var r response
		if err == nil {
			r, err = in.response(e)
		}
		if err == nil {
			err = in.limit.check(r.value)
		}
		if in.broken = err; err != nil {
			break
		}
		in.due++
		in.answers = append(in.answers, answer{
			id: e.ID, calls: 1, withdrawn: r.failure != nil && r.failure.Kind == ipc.FailedWithdrawn, took: e.Took, response: r,
		})
	}
}

// row cuts off what is next of the ring's entries, as long as they are results of calls that are due, one after the other.
func (in *inbound) row() answer {
	a := answer{id: in.due}
	rest := in.entries
	for len(rest) > 0 {
		e, after, err := ipc.CutEntry(rest)
		if err != nil || e.ID != in.due || e.Result == nil || len(e.Result) > in.limit.most {
			break
		}
		a.calls++
		a.took += e.Took
		in.due++
		rest = after
	}
	a.row = in.entries[:len(in.entries)-len(rest)]
	in.entries = rest
	return a
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
	if e.Body == nil {
		in.piped = ipc.Message{} // it may be large
	} else {
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
		var f ipc.Failure
		f, err = ipc.DecodeFailure(m.Failure)
		r.failure = &f
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
		return fmt.Errorf("read a response: %w", in.limit.explain(err))
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
		for in.settled < len(in.outcomes) { // also those that were left by a goroutine that was lost
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
	calls := 0
	for i := range in.answers {
		calls += in.answers[i].calls
	}
	l.sent.Add(int64(-calls))
	var err error
	l.pool.update(func(s *state, now time.Time) {
		in.outcomes, err = s.answered(l.id, in.answers, calls, in.outcomes, now)
	})
	if err != nil { // which comes before what was broken already
		in.broken = err
	}
	if l.arena != nil {
		l.arena.Answered(in.due - 1)
	}
}

// settleNext gives the next call its outcome, and forgets it.
func (in *inbound) settleNext() {
	o := &in.outcomes[in.settled]
	a := &in.answers[o.answer]
	if len(a.row) > 0 && o.task.span != nil && !o.task.fn.decodes {
		a.row = o.task.settleRow(o.n, o.calls, a.row)
		*o = outcome{}
		in.settled++
		return
	}
	n, r, interrupted := o.n, a.response, o.interrupted
	a.response = response{}
	if len(a.row) > 0 {
		e, rest, err := ipc.CutEntry(a.row)
		if err != nil {
			panic("procpool: BUG: a row that was cut before: " + err.Error())
		}
		a.row, r.value = rest, e.Result
	}
	t := o.task
	o.n++
	if o.calls--; o.calls == 0 {
		*o = outcome{}
		in.settled++
	}
	if t != nil { // whatever its decoding does, what comes after it is the next
		t.settle(n, r, interrupted)
	}
	if r.placed {
		in.arena.Take(a.id)
	}
}

// settleRow gives so many calls of a chunk, from n on, the results that row begins with, and returns the rest of that. The function's
// results have no decoding methods.
func (t *task) settleRow(n, calls int, row []byte) (rest []byte) {
	chunk := t.span.chunk
	for ; calls > 0; calls-- {
		e, after, err := ipc.CutEntry(row)
		if err != nil {
			panic("procpool: BUG: a row that was cut before: " + err.Error())
		}
		if err = ipc.DecodeValue(e.Result, chunk.Out(n)); err != nil {
			t.resolveUnless(n, err)
		} else {
			chunk.Resolve(n)
		}
		n++
		row = after
	}
	return row
}

// settle gives call n of it its outcome.
func (t *task) settle(n int, r response, interrupted error) {
	switch {
	case r.failure != nil:
		t.reject(n, explain(r.failure.Err(t.fn.name), interrupted))
	case t.fn.decodes:
		decoded := false
		defer func() {
			if !decoded {
				t.reject(n, fmt.Errorf("procpool: the result of %s: %w: its decoding method called runtime.Goexit", t.fn.name, futures.ErrNotShareable))
			}
		}()
		err := r.decode(t.out(n))
		decoded = true
		t.resolveUnless(n, err)
	default:
		t.resolveUnless(n, r.decode(t.out(n)))
	}
}

func (r *response) decode(into any) error {
	if r.placed {
		return ipc.DecodeShared(r.value, into)
	}
	return ipc.DecodeValue(r.value, into)
}

// resolveUnless settles call n of it, whose result was decoded, or was not.
func (t *task) resolveUnless(n int, err error) {
	if err != nil {
		t.reject(n, fmt.Errorf("procpool: the result of %s: %w", t.fn.name, err))
		return
	}
	t.resolve(n)
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
