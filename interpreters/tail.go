package interpreters

import (
	"io"
	"sync"
)

// keptOfStderr is how much of a guest's standard error is kept.
const keptOfStderr = 64 << 10

// A tail keeps the end of what is written, and passes all of it on.
type tail struct {
	next io.Writer // may be nil

	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.kept = append(t.kept, p[max(0, len(p)-keptOfStderr):]...)
	if over := len(t.kept) - keptOfStderr; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	t.mu.Unlock()
	if t.next == nil {
		return len(p), nil
	}
	return t.next.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
