//go:build !wasip1

package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A session is a worker after the handshake.
//
// Two goroutines share the work, and it does not matter which does what. One of them reads requests, and runs itself what
// it has read: a short call costs no change of goroutines. Meanwhile the other one stands by, and looks up every
// millisecond; when a call takes longer than that it goes on reading, so that cancels and the end of the host are seen
// during the call. Standing by with nothing to run costs nothing: it sleeps until the next call.
type session struct {
	table     offered
	claims    *ipc.Claims // nil if calls come one at a time
	ring      *ipc.Ring   // nil if every response goes through the pipe
	arena     *ipc.Arena  // nil if every value travels in its message
	requests  *readiness  // of what frames reads from
	responses *os.File
	maxResult uint32     // encoded
	over      chan error // why serving is over

	// Of whoever reads.
	frames *ipc.Reader
	room   []byte // for the arguments of requests to come

	// Of whoever runs.
	frame     []byte        // the response in the making
	contexts  []callContext // for calls to come
	clock     time.Duration // since start, when the last call ended; zero if there was a wait since
	untimed   int           // so many calls have ended since
	timeEvery int           // so many calls are timed together
	told      time.Duration // when the host was last told of responses in the ring, or would have been

	mu      sync.Mutex
	reading atomic.Bool // somebody reads, and so does not look after the responses of the call that runs; changed with mu held
	queue   []*request  // read and not started, oldest first
	current *request    // runs
	asleep  bool        // nobody stands by; wake has to be sent when a call starts
	wake    chan struct{}

	begun atomic.Pointer[callContext] // of the call that was started last: each has its own. With mu held, or by whoever runs
}

// start is where clocks begin.
var start = time.Now()

// request is one call, from its arrival to its response, or a chunk of calls.
type request struct {
	first uint64           // id of the first call
	calls int              // how many there are
	chunk bool             // they came as a chunk, be it of one
	fn    futures.Callable // nil if there is none
	meta  ipc.Meta
	args  []byte // of the calls that are not begun

	// Of whoever runs it.
	begun int                // so many calls
	ctx   *callContext       // of the call that was begun last, or is next
	call  futures.Invocation // which is used again
	alone callContext        // the ctx of the first call
}

func newSession(table offered, frames *ipc.Reader, requests *readiness, responses *os.File, maxResult uint32) *session {
	return &session{
		table: table, frames: frames, requests: requests, responses: responses, maxResult: maxResult,
		over: make(chan error, 2), wake: make(chan struct{}, 1),
	}
}

// serve returns when the host lets go: nil at the end of its requests.
func (s *session) serve() error {
	go s.work(nil) // both end with the process
	go s.work(nil)
	if err := <-s.over; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// standBy is how often the one who stands by looks up.
const standBy = time.Millisecond

// work is the life of each of the two.
func (s *session) work(mine *request) {
	defer func() {
		if mine == nil {
			return
		}
		// A function left by runtime.Goexit, and took the goroutine with it.
		mine.ctx.end()
		s.fail(mine, ipc.TaskFailure(futures.GoexitError(mine.fn.Name())))
		go s.work(mine)
	}()
	if mine != nil { // the rest of a chunk
		s.run(mine)
		mine = nil
		s.ended()
	}
	var seen *callContext // of the call that had been begun when this one last stood by
	s.mu.Lock()
	for {
		switch {
		case s.current == nil && len(s.queue) > 0:
			mine = s.begin()
			s.mu.Unlock()
			s.run(mine)
			mine = nil
			s.ended()
			s.mu.Lock()
		case !s.reading.Load() && (s.current == nil || s.begun.Load() == seen):
			s.reading.Store(true)
			aside := s.current != nil
			s.mu.Unlock()
			if aside {
				s.tell() // of responses that wait behind the call that runs
				if s.frames.Buffered() == 0 {
					s.frames.Forget()
					s.requests.await()
				}
			}
			err := s.read()
			s.mu.Lock()
			s.reading.Store(false)
			if err != nil {
				s.mu.Unlock()
				s.over <- err
				return
			}
		case s.current == nil && s.begun.Load() == seen: // the other one waits for a request
			s.asleep = true
			s.mu.Unlock()
			<-s.wake
			s.mu.Lock()
		default:
			seen = s.begun.Load()
			running := s.current != nil
			s.mu.Unlock()
			time.Sleep(standBy)
			if running {
				s.tell() // whoever runs short calls looks at the clock now and then, and the next ones may not be short
			}
			s.mu.Lock()
		}
	}
}

// begin takes the oldest request. It is called with mu held.
func (s *session) begin() *request {
	s.current = s.queue[0]
	s.queue[0] = nil
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil
	}
	s.begun.Store(s.current.ctx)
	if s.asleep {
		s.asleep = false
		s.wake <- struct{}{} // there is room: whoever sleeps has not been woken yet
	}
	return s.current
}

// ended is called when a call is over and answered.
func (s *session) ended() {
	s.mu.Lock()
	idle := len(s.queue) == 0
	if idle {
		s.clock = 0
	}
	s.current = nil
	s.mu.Unlock()
	if idle {
		s.tell()
	}
}

// read takes in the requests that have arrived, and waits for one if there is none.
func (s *session) read() error {
	for {
		body, err := s.frames.Next()
		if err != nil {
			return fmt.Errorf("read a frame: %w", err)
		}
		m, err := ipc.ParseMessage(body)
		if err != nil {
			return err
		}
		switch {
		case m.Kind == ipc.KindRequest || m.Kind == ipc.KindChunk || m.Kind == ipc.KindPlacedRequest && s.arena != nil:
			r, err := s.newRequest(m)
			if err != nil {
				return err
			}
			s.mu.Lock()
			s.queue = append(s.queue, r)
			s.mu.Unlock()
		case m.Kind == ipc.KindNotification && string(m.Name) == ipc.Cancel:
			var c ipc.CancelParam
			if err := ipc.DecodeParam(m.Value, &c); err != nil {
				return err
			}
			s.cancel(c)
		}
		if !s.frames.Ready() {
			return nil
		}
	}
}

const (
	roomSize = 16 << 10 // for many small arguments
	ownRoom  = 2 << 10  // an argument from this size on gets room of its own
)

// newRequest copies what outlives the frame. What lies in the arena stays there until the call is answered.
func (s *session) newRequest(m ipc.Message) (r *request, err error) {
	r = &request{first: m.ID, calls: 1, fn: s.table.byName[string(m.Name)]}
	switch m.Kind {
	case ipc.KindPlacedRequest:
		if r.args, err = s.arena.Argument(m.Place); err != nil {
			return nil, err
		}
	case ipc.KindChunk:
		r.calls, r.chunk = m.Calls, true
		fallthrough
	default:
		r.args = s.keep(m.Value)
	}
	if r.meta, err = ipc.DecodeMeta(m.Meta); err != nil {
		return nil, err
	}
	r.alone.id, r.alone.meta = m.ID, &r.meta
	r.ctx = &r.alone
	return r, nil
}

// keep copies an argument.
func (s *session) keep(arg []byte) []byte {
	if len(arg) >= ownRoom {
		return slices.Clone(arg)
	}
	if cap(s.room)-len(s.room) < len(arg) {
		s.room = make([]byte, 0, roomSize)
	}
	n := len(s.room)
	s.room = append(s.room, arg...)
	return s.room[n:len(s.room):len(s.room)]
}

// cancel makes the ctx of a call done, now or when it starts. A call that is over is left alone.
func (s *session) cancel(c ipc.CancelParam) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := s.begun.Load()
	if s.current == nil || ctx.id != c.ID { // of a chunk only the call that runs can be cancelled: the others are withdrawn
		i := slices.IndexFunc(s.queue, func(r *request) bool { return r.first == c.ID })
		if i < 0 {
			return
		}
		ctx = &s.queue[i].alone
	}
	if c.Reason == ipc.ReasonTimeout && ctx.meta.Timeout != 0 || c.Reason == ipc.ReasonDeadline && ctx.meta.Deadline != 0 {
		return // the ctx has the same bound, and says what a ctx says when its time is over
	}
	ctx.cancel(reasonOf(c.Reason))
}
