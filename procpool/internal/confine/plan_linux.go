package confine

import (
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A Plan is how a Request is met on this machine.
type Plan struct {
	request  Request
	findings []Finding

	landlock bool
	attr     rulesetAttr
	seccomp  bool
	apart    bool // see rules

	groups groups // nil: none
	swap   bool   // counts against Limits.Memory
	mark   string
	rlimit []rlimit
	hold   bool
}

// New finds out what can be enforced, makes and removes a cgroup to see whether that works, and removes what hosts that are gone have
// left. It is nil if nothing is asked for. The error is about paths that do not exist.
func New(r Request) (*Plan, error) {
	if r.empty() {
		return nil, nil
	}
	if box := r.Sandbox; box != nil {
		for _, path := range append(append([]string(nil), box.Read...), box.Write...) {
			if _, err := os.Stat(path); err != nil {
				return nil, err
			}
		}
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil { // so that package os tries what it can do on a thread that may
		_ = self.Release()
	}
	p := &Plan{request: r}
	held := mayHold()
	p.hold = held == nil
	if r.Sandbox != nil {
		if err := p.planBox(held); err != nil {
			return nil, err
		}
	}
	p.planLimits(held)
	return p, nil
}

func (p *Plan) found(name string, why error, how string) {
	f := Finding{Name: name, Active: why == nil, How: how}
	if why != nil {
		f.How = why.Error()
	}
	p.findings = append(p.findings, f)
}

// planBox decides what of a sandbox there will be. held says why workers cannot be held, or nothing.
func (p *Plan) planBox(held error) error {
	box := p.request.Sandbox
	abi := landlockVersion()
	p.landlock = abi > 0
	p.attr.files = handled(abi)
	var files, signals error
	switch {
	case abi == 0:
		files = fmt.Errorf("the kernel has no landlock: it takes Linux 6.2, with landlock in the list of kernel parameter lsm")
	case abi < abiFiles:
		files = fmt.Errorf("landlock is at version %d, which does not keep files from being truncated: it takes Linux 6.2", abi)
	}
	p.found("Sandbox.Read", files, "landlock: other files cannot be read, folders cannot be listed")
	p.found("Sandbox.Write", files, "landlock: other files cannot be changed, made or removed")
	if !box.Network && abi >= abiTCP {
		p.attr.network = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= abiSignals {
		p.attr.scoped |= unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	switch {
	case abi < abiSignals:
		signals = fmt.Errorf("landlock is at version %d: it takes version %d, Linux 6.12, to keep a worker from signalling other processes of its user", abi, abiSignals)
	case landlockErrata()&signalErratum == 0:
		signals = fmt.Errorf("landlock of this kernel has an erratum in its scope of signals: it takes Linux 6.15, or a maintained 6.12")
	default:
		p.attr.scoped |= unix.LANDLOCK_SCOPE_SIGNAL
	}
	p.found("Sandbox.signals", signals, "landlock: signals reach only what the worker has started")
	p.apart = signals == nil && held == nil

	var calls error
	if !hasSeccomp() {
		calls = fmt.Errorf("the kernel has no filters of system calls (CONFIG_SECCOMP_FILTER)")
	} else if _, err := filter(box, p.apart, newCookie()); err != nil {
		calls = fmt.Errorf("there is no filter of system calls for this processor: %w", err)
	}
	p.seccomp = calls == nil
	network := "seccomp: no socket can be made"
	if box.Network {
		network = "seccomp: sockets are those of IP"
	}
	p.found("Sandbox.Network", calls, network)
	p.found("Sandbox.system calls", calls, "seccomp: what calculating and files take, and nothing else")
	if !box.Exec {
		var programs error
		if abi == 0 { // every version knows of executing
			programs = files
		}
		p.found("Sandbox.Exec", first(programs, calls), "landlock: no program can be executed but the worker's own and the interpreters that it names")
		fork := calls
		if fork == nil && !hasCookies {
			fork = fmt.Errorf("starting a copy of the worker cannot be told from starting the worker on a processor of 32 bits; Limits.Processes bounds the copies")
		}
		p.found("Sandbox.fork", fork, "seccomp: no process can be started, threads can")
	}
	if root := os.Geteuid() == 0 && !capable(unix.CAP_SETPCAP); root {
		p.found("Sandbox.privileges", fmt.Errorf("this program is root without CAP_SETPCAP: the worker keeps its capabilities; drop them, or run as another user"), "")
	} else {
		p.found("Sandbox.privileges", nil, "no_new_privs, no capabilities")
	}
	// Without the hold the worker runs for a moment beside the thread that has started it, through which the kernel would let it look into this program.
	p.found("Sandbox.descriptors", first(files, held), "landlock: what this program has open is out of reach")
	if p.landlock { // as a rehearsal
		granted, err := grants(p.request)
		if err != nil {
			return err
		}
		fd, err := ruleset(p.attr, granted)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}
	return nil
}

// planLimits decides what of the limits there will be.
func (p *Plan) planLimits(held error) {
	l := p.request.Limits
	why := p.planGroups()
	if why == nil && held != nil {
		why = fmt.Errorf("they hold from a moment after the worker's start, and not from before it: %w", held)
	}
	version, memory, processes := "", error(nil), error(nil)
	if p.groups != nil {
		version, memory, processes = p.groups.version(), p.groups.memory(), p.groups.processes()
	}
	if l.Memory > 0 {
		swap, uncounted := swapping(p.swap, swaps())
		p.found("Limits.Memory", first(memory, why, uncounted), version+", "+swap)
	}
	if l.Processes > 0 {
		p.found("Limits.Processes", first(processes, why), version)
	}
	for _, r := range rlimits(l, p.request.Sandbox != nil, corePattern()) {
		err := r.beyond()
		if err == nil {
			p.rlimit = append(p.rlimit, r)
			err = held
		}
		p.found(r.name, err, "rlimit")
	}
	p.hold = p.hold && (p.request.Sandbox != nil || p.groups != nil || len(p.rlimit) > 0)
}

// first is the first of errs that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// planGroups sees whether cgroups can be made here.
func (p *Plan) planGroups() error {
	g, err := placement()
	if err != nil {
		return fmt.Errorf("%w%s", err, remedy(err))
	}
	if p.mark, err = mark(); err != nil {
		return err
	}
	sweep(g)
	probe, err := g.make(p.name(), p.request.Limits)
	if err == nil {
		p.swap = probe.countsSwap()
		err = probe.remove()
	}
	if err != nil {
		return fmt.Errorf("%s: %w%s", g.version(), err, remedy(err))
	}
	p.groups = g
	return nil
}

// serial counts the cgroups of this program, over all of its pools.
var serial atomic.Int64

func (p *Plan) name() string { return fmt.Sprintf("%s%d", p.mark, serial.Add(1)) }

// Findings are what is enforced, and what not.
func (p *Plan) Findings() []Finding {
	if p == nil {
		return nil
	}
	return p.findings
}
