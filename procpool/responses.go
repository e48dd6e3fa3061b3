package procpool

import (
	"errors"
	"os"
	"time"
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
