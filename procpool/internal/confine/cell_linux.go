package confine

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Cell is what holds one worker. Every method of a nil Cell does nothing.
type Cell struct {
	plan   *Plan
	group  group  // nil: none
	cookie uint32 // by which the filter tells the start of the worker from whatever else

	blocked unix.Sigset_t // by the thread that starts the process, before Enter
}

// Cell makes what one worker needs. It is nil for a nil Plan.
func (p *Plan) Cell() (*Cell, error) {
	if p == nil {
		return nil, nil
	}
	c := &Cell{plan: p, cookie: newCookie()}
	if p.groups != nil {
		g, err := p.groups.make(p.name(), p.request.Limits)
		if err != nil {
			return nil, fmt.Errorf("make a cgroup: %w", err)
		}
		c.group = g
	}
	return c, nil
}

// Taints reports whether Enter leaves the thread unfit for anything but Settle. It must end then: if the worker is held, that is what lets it go.
func (c *Cell) Taints() bool { return c != nil && c.plan.request.Sandbox != nil }

// OnFirstThread reports whether the caller is on the thread that the program began with.
func OnFirstThread() bool { return unix.Gettid() == unix.Getpid() }

// Prepare sets what the start of the process needs. The attributes of cmd must be there.
func (c *Cell) Prepare(cmd *exec.Cmd) {
	if c == nil {
		return
	}
	cmd.SysProcAttr.Ptrace = c.plan.hold
	cmd.SysProcAttr.Cloneflags |= carry(c.cookie)
	if c.Taints() && !c.declines() {
		cmd.SysProcAttr.Pdeathsig = 0 // which would come for the thread
	}
}

// declines says that the held worker is to decline the signal on its parent's death, which would come for the thread.
func (c *Cell) declines() bool { return c.Taints() && c.plan.hold && canDecline }

// Enter restricts the calling thread, to which its goroutine must be locked, for good. It must be the last thing before the
// start of the process.
func (c *Cell) Enter() error {
	if c == nil {
		return nil
	}
	if c.plan.hold {
		var err error
		if c.blocked, err = letHold(); err != nil {
			return err
		}
	}
	box := c.plan.request.Sandbox
	if box == nil {
		return nil
	}
	rules := -1
	if c.plan.landlock {
		granted, err := grants(c.plan.request)
		if err != nil {
			return err
		}
		if rules, err = ruleset(c.plan.attr, granted); err != nil {
			return err
		}
		defer func() { _ = unix.Close(rules) }() // it was never written
	}
	if err := renounce(); err != nil {
		return err
	}
	if rules >= 0 {
		if err := restrict(rules); err != nil {
			return err
		}
	}
	if !c.plan.seccomp {
		return nil
	}
	program, err := filter(box, c.plan.apart, c.cookie)
	if err == nil {
		err = install(program)
	}
	if err != nil {
		return fmt.Errorf("install the filter of system calls: %w", err)
	}
	return nil
}

// Leave gives the calling thread its signals back. It follows Enter and the start of the process, whatever has become of them.
func (c *Cell) Leave() {
	if c != nil && c.plan.hold {
		_ = unix.PthreadSigmask(unix.SIG_SETMASK, &c.blocked, nil) // it was like that before
	}
}

// Settle puts the process, which is held at its exec, within its limits and lets it go, at the latest with the end of the thread: see Taints. It is called on
// the thread that has started it; what that one may not do any more another one does. After an error the process must be killed.
func (c *Cell) Settle(pid int) error {
	if c == nil {
		return nil
	}
	if c.plan.hold {
		if err := awaitHold(pid); err != nil {
			return err
		}
	}
	done := make(chan error, 1)
	go func() { done <- c.limit(pid) }() // ends after some writes to the kernel
	if err := <-done; err != nil {
		return err
	}
	if !c.plan.hold {
		return nil
	}
	if c.declines() {
		if err := decline(pid); err != nil {
			return fmt.Errorf("have the worker outlive the thread that has started it: %w", err)
		}
	}
	if err := blocked(unix.PTRACE_SETSIGMASK, pid, &c.blocked); err != nil {
		return err
	}
	if c.Taints() {
		return forget(pid)
	}
	return letGo(pid)
}

func (c *Cell) limit(pid int) error {
	if c.group != nil {
		if err := c.group.add(pid); err != nil && !c.gone(err) {
			return fmt.Errorf("put the worker into its cgroup: %w", err)
		}
	}
	if err := impose(pid, c.plan.rlimit); err != nil && !c.gone(err) {
		return err
	}
	return nil
}

// gone reports whether there was nobody left to limit: one who is not held may have ended.
func (c *Cell) gone(err error) bool { return !c.plan.hold && errors.Is(err, syscall.ESRCH) }

// Verdict says whether the kernel has ended a process of the worker for want of memory. It is called when the worker has ended.
func (c *Cell) Verdict() Verdict {
	if c == nil || c.group == nil {
		return Unknown
	}
	switch n, known := c.group.oomKills(); {
	case !known:
		return Unknown
	case n > 0:
		return Killed
	default:
		return Spared
	}
}

// Close ends what the worker has left behind and removes its cgroup.
func (c *Cell) Close() error {
	if c == nil || c.group == nil {
		return nil
	}
	return clear(c.group)
}
