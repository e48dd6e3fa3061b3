// Package engine is where package worker and a script engine meet that a worker's main imports.
package engine

import (
	"context"
	"sync"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// An Engine runs source text inside one interpreter, and keeps its main namespace. Its methods are called by one goroutine at a time.
type Engine interface {
	// Bind binds names in the main namespace, all or none.
	//
	// Values are what an any is decoded into (see [futures.Declare]), and *worker.Queue.
	Bind(values map[string]any) error

	// Exec runs code. What it binds stays bound. ctx is that of the call. What the script did wrong is a *[Failure].
	Exec(ctx context.Context, code string) error
}

// A Failure is the failure of a script.
type Failure struct {
	Type      string // of the error
	Msg       string
	Traceback string // for a human, over several lines
	Cause     error  // may be nil
}

func (f *Failure) Error() string { return f.Msg }
func (f *Failure) Unwrap() error { return f.Cause }

// A Start makes the engine of an interpreter that offers funcs.
type Start func(funcs []futures.Callable) Engine

var registered struct {
	sync.Mutex
	start Start
}

// Register is called in an init function by the package that has an engine. There can be one.
func Register(start Start) {
	registered.Lock()
	defer registered.Unlock()
	if registered.start != nil {
		panic("worker: two script engines are linked in")
	}
	registered.start = start
}

// Registered is nil if there is no engine.
func Registered() Start {
	registered.Lock()
	defer registered.Unlock()
	return registered.start
}
