package interpreters

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// interpreters are those that exist, besides the main one, in the order of their creation.
type interpreters struct {
	mu   sync.Mutex
	last int64 // id
	all  []*Interpreter
}

var registry interpreters

func (r *interpreters) nextID() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	return r.last
}

// add is in the order of ids, which is that in which their creation began.
func (r *interpreters) add(ip *Interpreter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, _ := r.find(ip.id)
	r.all = slices.Insert(r.all, at, ip)
}

func (r *interpreters) remove(ip *Interpreter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, found := r.find(ip.id); found {
		r.all = slices.Delete(r.all, at, at+1)
	}
}

// find is called with mu held.
func (r *interpreters) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(r.all, id, func(ip *Interpreter, id int64) int { return int(min(1, max(-1, ip.id-id))) })
}

// ListAll lists the interpreters that exist, in the order of their creation and the main one first (row N2). One that has died is not among
// them.
func ListAll() []*Interpreter {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return append([]*Interpreter{mainInterpreter}, registry.all...)
}

// GetMain is the main interpreter: this program (row N3). Code cannot be sent to it, and it always runs.
func GetMain() *Interpreter { return mainInterpreter }

// GetCurrent is the interpreter on whose behalf the caller runs (row N3): that of the guest in one of Config.HostFuncs, given its ctx, and otherwise
// the main one. In a guest, worker.Self is the id.
func GetCurrent(ctx context.Context) *Interpreter {
	if ip, ok := ctx.Value(currentKey{}).(*Interpreter); ok {
		return ip
	}
	return mainInterpreter
}

type currentKey struct{}

// Lookup finds an interpreter by its id: the one *Interpreter there is for it (rows N4, N5). The error is ErrNotFound.
func Lookup(id int64) (*Interpreter, error) {
	if id == mainInterpreter.id {
		return mainInterpreter, nil
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if at, found := registry.find(id); found {
		return registry.all[at], nil
	}
	return nil, fmt.Errorf("%w: %d", ErrNotFound, id)
}
