package abi

import "fmt"

// An UnboundItem says what becomes of an item that is still in a queue when the interpreter that put it is gone. It is one type for host and
// guests: see package interpreters.
type UnboundItem int

const (
	Unbound       UnboundItem = iota // its place stays in the queue, and the value there is Unbound
	UnboundError                     // its place stays in the queue, and getting it is an error
	UnboundRemove                    // it leaves the queue
)

func (u UnboundItem) String() string {
	names := [...]string{"Unbound", "UnboundError", "UnboundRemove"}
	if u.Valid() {
		return names[u]
	}
	return fmt.Sprintf("UnboundItem(%d)", int(u))
}

// Valid reports whether u is one of the three.
func (u UnboundItem) Valid() bool { return u >= Unbound && u <= UnboundRemove }
