package interpreters

import (
	"errors"
	"fmt"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// What a [Queue] says no with. The errors name the queue by its id (Q12).
var (
	// ErrQueueEmpty is the error of a get without an item: at once for GetNoWait, and when the ctx is done for Get, whose error
	// matches the ctx's cause as well.
	ErrQueueEmpty = ipc.ErrQueueEmpty

	// ErrQueueFull is the error of a put without room, as ErrQueueEmpty is of a get.
	ErrQueueFull = ipc.ErrQueueFull

	// ErrQueueNotFound is the error of every operation on a queue that was closed, or never was.
	ErrQueueNotFound = ipc.ErrQueueNotFound

	// ErrItemInterpreterDestroyed is the error of getting an item whose interpreter is gone: see [UnboundItem].
	ErrItemInterpreterDestroyed = ipc.ErrItemInterpreterDestroyed
)

// errQueueLimit refuses a put of a guest that has put more than its limit, and nobody has taken it. There is nothing to wait for: room in the
// queue is not what is lacking.
var errQueueLimit = errors.New("interpreters: too much in queues")

// A queueError is a sentinel that says of which queue it speaks.
type queueError struct {
	kind  error // the sentinel
	id    int64
	cause error // why the ctx was done; nil if nobody waited
}

// queueIs is what each kind says of a queue.
var queueIs = map[error]string{
	ErrQueueEmpty:               "is empty",
	ErrQueueFull:                "is full",
	ErrQueueNotFound:            "not found",
	ErrItemInterpreterDestroyed: "had an item whose interpreter is gone",
}

func (e *queueError) Error() string {
	text := fmt.Sprintf("interpreters: queue %d %s", e.id, queueIs[e.kind])
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

func (e *queueError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}
