package interpreters

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A queuePort is one interpreter's way to the queues. It speaks in encoded values, and never waits: a guest must not stop in the host.
//
// A guest that wants to wait gives its put or get a ticket, a number of its own choice that is not zero. If the answer is
// [ErrQueueFull] or [ErrQueueEmpty], the ticket is in line, and the port will ring it when it is worth another look; there is no moment
// between the look and the line in which a change could be missed. The guest looks by the same call with the same ticket, which may find
// nothing again: then the ticket keeps its place in line and will be rung again. With any other answer the ticket is spent. A guest that
// does not want to wait any more says cancel, rung or not: what it was rung for goes to the next in line, so nothing is lost.
//
// A guest may use the queues whose handles it was given, and no others, whatever ids it makes up. So every value that goes into the guest
// passes through admit, and every value that comes out of it through check, except those of put and get, which do so themselves.
//
// A guest runs only while it is called. In between it is asleep: what it was rung for would wait for it, and everybody behind for that. So
// its tickets are out of their lines until it is called again, and then are all worth a look.
//
// What a guest puts is memory of the host, which no limit on the guest's own memory would bound: see limit.
//
// Its methods are called by one goroutine at a time, the one that runs the guest. It has no goroutine of its own.
type queuePort struct {
	owner  int64               // id of the interpreter
	ring   func(ticket uint64) // says "look again"
	unring func(ticket uint64) // it has looked, or will not: what it was told and has not heard is to be forgotten
	limit  int64               // bytes that may lie in queues, put by this guest and not taken; zero means no limit
	queued atomic.Int64        // bytes that do: see item.size

	mu      sync.Mutex
	granted map[int64]*Queue // by id; a queue that is closed leaves

	waiters map[uint64]*waiter // by ticket
}

// newQueuePort makes the port of interpreter owner, which must be closed. ring may be called with the lock of a queue held, from any goroutine,
// also from within a call of the port: it must return at once, call no method of a port or a queue, and take no lock that is held
// around such a call. A ticket is rung once until the guest has looked, so what was rung must not be forgotten while the guest sleeps.
//
// unring is called likewise, by the goroutine that runs the guest. With it there is one ring for a ticket at most that the guest has not heard, and none for
// one that is spent: a guest that never listens does not fill the host.
func newQueuePort(owner int64, limit int64, ring, unring func(ticket uint64)) *queuePort {
	return &queuePort{owner: owner, limit: limit, ring: ring, unring: unring, granted: map[int64]*Queue{}, waiters: map[uint64]*waiter{}}
}

// admit lets the guest use the queues whose handles are in a value that it is about to be given: an argument, a bound value. Those that
// are closed by now it will not find, which is what it should see. The value is one that this program has encoded, or check has passed.
func (p *queuePort) admit(encoded []byte) error {
	if !ipc.MayHoldQueue(encoded) {
		return nil
	}
	ids, err := ipc.QueuesIn(encoded)
	if err != nil {
		return fmt.Errorf("%w: %w", futures.ErrNotShareable, err)
	}
	for _, id := range ids {
		if q, err := LookupQueue(id); err == nil {
			p.grant(q)
		}
	}
	return nil
}

// check looks at a value that came out of the guest: it must be one value, and may hold handles of no queues but the guest's. The
// error matches [futures.ErrNotShareable], and [ErrQueueNotFound] if it is about a handle.
func (p *queuePort) check(encoded []byte) error {
	ids, err := ipc.QueuesIn(encoded)
	for _, id := range ids {
		if err == nil {
			_, err = p.find(id)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", futures.ErrNotShareable, err)
	}
	return nil
}

// find is the queue with that id, if the guest may use it.
func (p *queuePort) find(id int64) (*Queue, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.granted[id]; q != nil {
		return q, nil
	}
	return nil, &queueError{kind: ErrQueueNotFound, id: id}
}

// put puts a copy of encoded. A nil unbound means the queue's own policy. Beyond what [Queue.PutNoWait] has to say, the error can be
// errQueueLimit.
func (p *queuePort) put(id int64, encoded []byte, unbound *UnboundItem, ticket uint64) error {
	q, err := p.find(id)
	it := item{encoded: encoded, owner: p}
	if err == nil && p.limit > 0 && p.queued.Load()+it.size() > p.limit {
		err = fmt.Errorf("%w: interpreter %d has %d bytes in queues, and with %d more it would be over its limit of %d", errQueueLimit, p.owner, p.queued.Load(), it.size(), p.limit)
	}
	if err == nil {
		err = p.check(encoded)
	}
	if err != nil {
		p.cancel(ticket)
		return err
	}
	it.encoded, it.unbound = slices.Clone(encoded), q.unbound // now: not under the lock
	if unbound != nil {
		it.unbound = *unbound
	}
	w, err := p.waiter(ticket, q, &q.putters)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.room() == 0 && q.open() == nil {
		p.lineUp(w)
		return &queueError{kind: ErrQueueFull, id: q.id}
	}
	p.spend(w)
	if err := q.open(); err != nil {
		return err
	}
	p.queued.Add(it.size())
	return q.tryPut(it)
}

// get takes an item. Beyond what [Queue.GetNoWait] has to say, the error can be errQueueLimit. If the item's interpreter is gone it matches
// [ErrItemInterpreterDestroyed], and unbound is true if the policy is to show that as a value: see [Unbound].
func (p *queuePort) get(id int64, ticket uint64) (encoded []byte, unbound bool, err error) {
	q, err := p.find(id)
	if err != nil {
		p.cancel(ticket)
		return nil, false, err
	}
	w, err := p.waiter(ticket, q, &q.getters)
	if err != nil {
		return nil, false, err
	}
	q.mu.Lock()
	if len(q.items) == 0 && q.open() == nil {
		p.lineUp(w)
		q.mu.Unlock()
		return nil, false, &queueError{kind: ErrQueueEmpty, id: q.id}
	}
	p.spend(w)
	it, err := q.tryGet()
	q.mu.Unlock()
	switch {
	case err != nil:
		return nil, false, err
	case it.gone:
		return nil, it.unbound == Unbound, &queueError{kind: ErrItemInterpreterDestroyed, id: q.id}
	}
	return it.encoded, false, p.admit(it.encoded)
}

// info is what the guest sees of a queue without touching it: [Queue.QSize] and [Queue.MaxSize].
func (p *queuePort) info(id int64) (size, maxsize int, err error) {
	q, err := p.find(id)
	if err != nil {
		return 0, 0, err
	}
	return q.QSize(), q.maxsize, nil
}

// cancel takes a ticket out of its line. It does nothing if the ticket is in none.
func (p *queuePort) cancel(ticket uint64) {
	w := p.waiters[ticket]
	if w == nil {
		return
	}
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	p.spend(w)
	w.queue.settle()
}

// sleep is called when the guest has returned from a call, and does not run any more.
func (p *queuePort) sleep() {
	for _, w := range p.waiters {
		if !w.asleep {
			w.queue.mu.Lock()
			w.line.leave(w)
			w.asleep = true
			w.queue.settle()
			w.queue.mu.Unlock()
		}
	}
}

// wake is called before the guest is called again. A port is awake when it is made.
func (p *queuePort) wake() {
	if len(p.waiters) == 0 {
		return
	}
	for _, ticket := range slices.Sorted(maps.Keys(p.waiters)) {
		p.waiters[ticket].tell()
	}
}

// close is the interpreter's end, however it came about: its tickets are cancelled, and the items that it has put and nobody has taken
// are dealt with by their policies. The guest must have stopped.
func (p *queuePort) close() {
	for ticket := range p.waiters {
		p.cancel(ticket)
	}
	p.mu.Lock()
	granted := p.granted
	p.granted = nil
	p.mu.Unlock()
	for _, q := range granted {
		q.mu.Lock()
		delete(q.ports, p)
		if p.queued.Load() > 0 {
			q.disown(p)
		}
		q.mu.Unlock()
	}
}

// grant lets the guest use q, unless either is closed.
func (p *queuePort) grant(q *Queue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.granted != nil {
		p.granted[q.id] = q
		q.ports[p] = struct{}{}
	}
}

// forgetQueue is called by a queue that was closed.
func (p *queuePort) forgetQueue(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.granted, id)
}

// maxTickets is how many tickets may be in line at once: more than a guest has memory for goroutines, and not so many that the host would feel it.
const maxTickets = 1 << 17

// waiter is the waiter of a ticket; nil for none. A ticket that waits somewhere else is taken from there.
func (p *queuePort) waiter(ticket uint64, q *Queue, l *line) (*waiter, error) {
	if ticket == 0 {
		return nil, nil
	}
	if w := p.waiters[ticket]; w != nil {
		if w.line == l {
			return w, nil
		}
		p.cancel(ticket)
	}
	if len(p.waiters) == maxTickets {
		return nil, fmt.Errorf("%w: interpreter %d waits with %d tickets, which is all that it may have", errQueueLimit, p.owner, maxTickets)
	}
	return &waiter{port: p, ticket: ticket, queue: q, line: l}, nil
}

// lineUp and spend are called with the mu of the waiter's queue held; without a waiter they do nothing.

func (p *queuePort) lineUp(w *waiter) {
	switch {
	case w == nil:
	case p.waiters[w.ticket] == w && !w.asleep:
		w.line.rejoin(w)
	default:
		p.waiters[w.ticket] = w
		w.asleep = false
		w.line.join(w)
	}
	w.looked()
}

func (p *queuePort) spend(w *waiter) {
	if w != nil && p.waiters[w.ticket] == w {
		delete(p.waiters, w.ticket)
		w.looked()
		if !w.asleep {
			w.line.leave(w)
		}
	}
}
