package procpool

import (
	"reflect"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// functionKey tells Funcs apart.
type functionKey struct {
	name    string
	in, out reflect.Type
}

// known is a Func and what the pool knows of it.
type known struct {
	callable futures.Callable
	function *function
}

// function finds what the pool knows of fn.
func (p *ProcessPoolExecutor) function(fn futures.Callable) *function {
	if k := p.latest.Load(); k != nil && k.callable == fn {
		return k.function
	}
	f := p.lookUp(fn)
	p.latest.Store(&known{fn, f})
	return f
}

func (p *ProcessPoolExecutor) lookUp(fn futures.Callable) *function {
	key := functionKey{name: fn.Name()}
	key.in, key.out = fn.Types()
	p.functionsMu.RLock()
	f := p.functions[key]
	p.functionsMu.RUnlock()
	if f != nil {
		return f
	}
	f = &function{pool: p, name: key.name, in: ipc.Fingerprint(key.in), out: ipc.Fingerprint(key.out), decodes: ipc.RunsMethods(key.out)}
	p.functionsMu.Lock()
	defer p.functionsMu.Unlock()
	if known := p.functions[key]; known != nil {
		return known
	}
	p.functions[key] = f
	return f
}

// function is what a pool knows of a Func. There is one for each name and pair of types.
type function struct {
	pool    updater
	name    string
	in, out string // fingerprints of the types
	decodes bool   // the result may have decoding methods of its own

	cost  time.Duration // how long its calls take, learned by the state
	timed bool          // cost says something
}

// measured learns how long calls of a function take, from n of them that took so long each.
func (f *function) measured(took time.Duration, n int) {
	if !f.timed {
		f.cost, f.timed = took, true
		return
	}
	for range min(n, 16) { // more make no difference
		f.cost += (took - f.cost) / 8
	}
}

// price is what a call of a function counts for in the window.
func (f *function) price() time.Duration { return max(f.cost, minCost) }

// minCost keeps calls of no measurable duration from being sent ahead without bound.
const minCost = 250 * time.Nanosecond
