package pooltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// planVar is the environment variable that holds a worker's plan.
const planVar = "POOLTEST_PLAN"

// A Plan says which calls of wrapped Funcs faults strike: see [Wrap]. It reaches the workers in their environment, and counts their calls in a file, so that it
// does not matter in which of them a call starts.
type Plan struct {
	ledger Ledger
	steps  []Step
}

// A Step says what happens to one call. Make it with [On] or [After].
type Step struct {
	Func   string // only calls of this Func count; empty: each Func is counted by itself
	Call   int    // the first is 1; another attempt of a call is a call
	After  bool   // the function has returned, and its answer is lost
	Faults []Fault
}

// On strikes call n, before the function runs.
func On(n int, faults ...Fault) Step { return Step{Call: n, Faults: faults} }

// After strikes call n when the function has returned, with an error or without, so that what it did is done and its answer may be lost.
func After(n int, faults ...Fault) Step { return Step{Call: n, After: true, Faults: faults} }

// Of makes the step one for calls of that Func alone.
func (s Step) Of(fn futures.Callable) Step {
	s.Func = fn.Name()
	return s
}

// NewPlan makes a plan whose file is in dir, which is the caller's to remove: testing.T.TempDir, for instance.
func NewPlan(dir string, steps ...Step) (*Plan, error) {
	for _, s := range steps {
		if s.Call < 1 {
			return nil, fmt.Errorf("pooltest: NewPlan: there is no call %d: the first is 1", s.Call)
		}
	}
	ledger, err := NewLedger(dir)
	if err != nil {
		return nil, err
	}
	return &Plan{ledger, slices.Clone(steps)}, nil
}

// written is a plan in the environment.
type written struct {
	Ledger Ledger
	Steps  []Step
}

// Env is an environment with the plan in it: plan.Env(os.Environ()) as Config.Env.
func (p *Plan) Env(environ []string) []string {
	text, err := json.Marshal(written{p.ledger, p.steps})
	if err != nil {
		panic(fmt.Sprintf("pooltest: BUG: a plan that cannot be written: %v", err)) // it is made of texts and numbers
	}
	return append(slices.Clip(environ), planVar+"="+string(text))
}

// Started lists the calls that have started so far, in the order in which they did, whatever became of them.
func (p *Plan) Started() ([]Start, error) { return p.ledger.Read() }

// Wrap makes a Func that is fn, but for what the plan in the environment says. Without a plan it is fn and nothing else: a worker may leave it in.
func Wrap[In, Out any](fn futures.Func[In, Out]) futures.Func[In, Out] {
	if !fn.HasBody() {
		return fn
	}
	return futures.NewFunc(fn.Name(), func(ctx context.Context, in In) (out Out, err error) {
		steps, err := due(fn.Name())
		if err != nil {
			return out, err
		}
		if err := befall(ctx, steps, false); err != nil {
			return out, err
		}
		out, err = fn.Call(ctx, in)
		if err := befall(ctx, steps, true); err != nil {
			return out, err
		}
		return out, err
	})
}

// inherited is the plan in this process's environment; nil if there is none.
var inherited = sync.OnceValues(func() (*written, error) {
	text := os.Getenv(planVar)
	if text == "" {
		return nil, nil
	}
	p := new(written)
	if err := json.NewDecoder(strings.NewReader(text)).Decode(p); err != nil {
		return nil, errors.New("pooltest: " + planVar + " holds no plan: make it with Plan.Env")
	}
	return p, nil
})

// due notes that a call of that Func starts, and returns what the plan says of it.
func due(name string) (steps []Step, err error) {
	p, err := inherited()
	if p == nil || err != nil {
		return nil, err
	}
	n, err := p.Ledger.Enter(name)
	if err != nil {
		return nil, err
	}
	for _, s := range p.Steps {
		if s.Call == n && (s.Func == "" || s.Func == name) {
			steps = append(steps, s)
		}
	}
	return steps, nil
}

func befall(ctx context.Context, steps []Step, after bool) error {
	for _, s := range steps {
		if s.After != after {
			continue
		}
		if err := Befall(ctx, s.Faults...); err != nil {
			return err
		}
	}
	return nil
}
