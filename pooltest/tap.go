package pooltest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// tapVar is the environment variable that says where a worker is tapped.
const tapVar = "POOLTEST_TAP"

// A WirePoint is where between a worker and its pool something happens.
type WirePoint string

const (
	// WriteRequest is when the pool writes a request: its first 4 KiB are taken from the pipe, so a longer one than the pipe holds is not written.
	WriteRequest WirePoint = "write request"

	// ReadRequest is when the worker reads a request: all of it was written, and the worker has a part.
	ReadRequest WirePoint = "read request"

	// WriteResult is when the worker writes a result: the pool has its first 4 KiB, and one that is longer than the pipe holds is not written.
	WriteResult WirePoint = "write result"

	// ReadResult is when the pool reads a result: the whole of it was written.
	ReadResult WirePoint = "read result"

	// LetGo is when the pool has let go of the worker, and the worker has not heard of it.
	LetGo WirePoint = "let go"
)

// A Wiretap says what happens between a worker and its pool: see [Tap].
type Wiretap struct {
	// At is where the worker stands at Gate. Empty: nowhere.
	At WirePoint

	// Marker is found in the first 4 KiB of the message at which it does so, the name of an errand for instance. Empty: in each message.
	// LetGo needs none.
	Marker string

	Gate string // its Addr

	// Pause is how long a pipe takes for each KiB, in both directions. Zero: it is as fast as ever.
	Pause time.Duration
}

// Env is an environment in which workers are tapped.
func (w Wiretap) Env(environ []string) []string {
	text, err := json.Marshal(w)
	if err != nil {
		panic(fmt.Sprintf("pooltest: BUG: a wiretap that cannot be written: %v", err)) // it is made of texts and numbers
	}
	return append(slices.Clip(environ), tapVar+"="+string(text))
}
