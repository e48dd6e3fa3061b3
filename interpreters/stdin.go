package interpreters

import (
	"fmt"
	"io"
)

// A stdin reads for the guest, in a goroutine of its own for each read: a reader that blocks must not keep a guest from being stopped. The
// goroutine ends when the reader returns, and nobody waits for one whose guest is gone.
type stdin struct {
	in   *instance
	from io.Reader
}

// readAhead is the most that is read at once.
const readAhead = 64 << 10

// Read is called by wazero, in the goroutine that runs the guest. It does not return if the guest is stopped.
func (s *stdin) Read(p []byte) (int, error) {
	buf := make([]byte, min(len(p), readAhead)) // not p, which is memory of a guest that may be gone when it is filled
	var n int
	var err error
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		n, err = s.from.Read(buf)
	}()
	s.in.wait(wait{clock: -1, ready: done})
	if panicked != nil { // which ends the guest here, and would have ended this program there
		panic(fmt.Sprintf("interpreters: Config.Stdin: %v", panicked))
	}
	return copy(p, buf[:n]), err
}
