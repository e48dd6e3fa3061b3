// Package confine keeps a process within limits and a sandbox from before its first instruction.
//
//	New        once for a pool: what this machine can enforce, and what not and why
//	Cell       once for a worker: its cgroup, if there are any here
//	 Prepare   what the start of the process needs
//	 Enter     on the locked thread that is about to start it: no_new_privs, capabilities, landlock, seccomp
//	 Leave     on that thread again: it has its signals back
//	 Settle    the process exists and is held at its exec: cgroup, rlimits, and go
//	 Verdict   it has ended: did the kernel end it for memory?
//	 Close     nothing is left of it
//
// Whatever Enter sets is inherited by the process and survives its exec, and cannot be taken back: the thread is lost to this
// program, and the goroutine that is locked to it must end without unlocking it. The runtime clones no thread from a locked one
// (it keeps a template thread for that), so nothing of it spreads to the rest of the program.
//
// Limits belong to a process and not to a thread, so the process is held by ptrace at its exec, where none of its instructions
// has run, until it is in its cgroup and has its rlimits.
package confine
