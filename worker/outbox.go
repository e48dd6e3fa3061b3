package worker

import (
	"fmt"
	"os"
	"sync"
)

// outbox collects responses and writes them out together: in the runner when it has nothing else to do, and otherwise in
// a goroutine of its own, so that no response waits for the call after it.
type outbox struct {
	file *os.File
	wake chan struct{} // holds a token while the writer has something to do

	mu      sync.Mutex
	pending []byte

	writing sync.Mutex // held during a write, so that frames stay whole and in order
	spare   []byte     // guarded by writing
}

func newOutbox(file *os.File) *outbox {
	o := &outbox{file: file, wake: make(chan struct{}, 1)}
	go func() { // ends with the process
		for range o.wake {
			o.flush()
		}
	}()
	return o
}

// highWater is how much may wait to be written before the runner writes itself, and is held up by a slow host.
const highWater = 256 << 10

// add puts a frame where the next flush finds it.
func (o *outbox) add(frame []byte) {
	o.mu.Lock()
	o.pending = append(o.pending, frame...)
	n := len(o.pending)
	o.mu.Unlock()
	if n > highWater {
		o.flush()
	}
}

// flushSoon has the writer flush.
func (o *outbox) flushSoon() {
	select {
	case o.wake <- struct{}{}:
	default: // it has been told already
	}
}

// flush writes what is pending. The process ends if it cannot: nobody is there to hear.
func (o *outbox) flush() {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	b := o.pending
	o.pending = o.spare[:0]
	o.mu.Unlock()
	o.spare = b
	if cap(b) > 4*highWater {
		o.spare = nil // one huge result is no reason to keep its buffer
	}
	if len(b) == 0 {
		return
	}
	if _, err := o.file.Write(b); err != nil {
		fmt.Fprintf(os.Stderr, "worker: write a response: %v\n", err)
		os.Exit(3)
	}
}
