package procpool

import (
	"errors"

	"github.com/seed7d1be1d5/concurrent/procpool/internal/confine"
)

// ErrNotEnforced is what New returns with Config.Strict when this machine cannot enforce what Config.Limits and Config.Sandbox ask for. The
// error lists each thing, why it cannot, and what would help.
var ErrNotEnforced = errors.New("this machine cannot enforce all that was asked for")

// A Restriction is one thing that Config.Limits, Config.Sandbox or Config.MaxRSS ask for.
type Restriction struct {
	Name   string // the field, such as Limits.Memory, or a part of the sandbox that has none, such as Sandbox.signals
	Active bool   // it holds for every worker, from before its first instruction
	How    string // what enforces it, or why nothing does and what would help
}

func (r Restriction) String() string {
	if r.Active {
		return r.Name + ": " + r.How
	}
	return r.Name + ": NOT ENFORCED: " + r.How
}

// Enforced says what holds the workers of this pool on this machine, and what was asked for and does not. It is empty if nothing was
// asked for. What is not active may hold in part, where How says so; nobody should rely on it. A worker to which something
// that is active cannot be applied is not started.
func (p *ProcessPoolExecutor) Enforced() []Restriction {
	if p == nil {
		return nil
	}
	return p.config.restrictions(p.plan)
}

// restrictions are what plan says of itself, and what is enforced without one.
func (c Config) restrictions(plan *confine.Plan) (list []Restriction) {
	for _, f := range plan.Findings() {
		list = append(list, Restriction(f))
	}
	switch {
	case c.MaxRSS == 0:
	case weighs:
		list = append(list, Restriction{"MaxRSS", true, "/proc/PID/statm, between calls"})
	default:
		list = append(list, Restriction{Name: "MaxRSS", How: "not Linux: run it on Linux to have it enforced"})
	}
	return list
}

// notEnforced names what is asked for and not active.
func (p *ProcessPoolExecutor) notEnforced() (names []string) {
	for _, r := range p.Enforced() {
		if !r.Active {
			names = append(names, r.Name)
		}
	}
	return names
}
