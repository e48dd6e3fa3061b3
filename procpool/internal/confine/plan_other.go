//go:build !linux

package confine

import (
	"os/exec"
)

// A Plan is how a Request is met on this system: not at all.
type Plan struct{ findings []Finding }

// New finds out what can be enforced. It is nil if nothing is asked for.
func New(r Request) (*Plan, error) {
	if r.empty() {
		return nil, nil
	}
	p := &Plan{}
	for _, asked := range []struct {
		name string
		is   bool
	}{
		{"Sandbox", r.Sandbox != nil},
		{"Limits.Memory", r.Limits.Memory > 0},
		{"Limits.CPUTime", r.Limits.CPUTime > 0},
		{"Limits.Processes", r.Limits.Processes > 0},
		{"Limits.OpenFiles", r.Limits.OpenFiles > 0},
		{"Limits.FileSize", r.Limits.FileSize > 0},
		{"Limits.Core", r.Limits.Core != 0},
	} {
		if asked.is {
			p.findings = append(p.findings, Finding{Name: asked.name, How: "not Linux: run it on Linux to have it enforced"})
		}
	}
	return p, nil
}

// Findings are what is enforced, and what not.
func (p *Plan) Findings() []Finding {
	if p == nil {
		return nil
	}
	return p.findings
}

// Cell makes what one worker needs. Every method of a nil Cell does nothing.
func (p *Plan) Cell() (*Cell, error) { return nil, nil }

// OnFirstThread reports whether the caller is on the thread that the program began with, as far as that matters.
func OnFirstThread() bool { return false }

// A Cell is what holds one worker.
type Cell struct{}

func (c *Cell) Taints() bool      { return false }
func (c *Cell) Prepare(*exec.Cmd) {}
func (c *Cell) Enter() error      { return nil }
func (c *Cell) Leave()            {}
func (c *Cell) Settle(int) error  { return nil }
func (c *Cell) Verdict() Verdict  { return Unknown }
func (c *Cell) Close() error      { return nil }
