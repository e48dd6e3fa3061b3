package confine

import "time"

// Limits are what a worker may use. Zero means no limit of its own.
type Limits struct {
	Memory    int64 // bytes
	CPUTime   time.Duration
	Processes int   // and threads
	OpenFiles int   // descriptors
	FileSize  int64 // bytes
	Core      int64 // bytes; negative: none
}

// A Sandbox is what a worker can reach.
type Sandbox struct {
	Read, Write   []string // files and folders
	Network, Exec bool
}

// A Request is what is asked for.
type Request struct {
	Limits  Limits
	Sandbox *Sandbox // nil: none
	Program string   // the worker's
	Path    string   // in which that looks up others, separated by colons
}

// empty reports whether nothing is asked for.
func (r Request) empty() bool { return r.Sandbox == nil && r.Limits == Limits{} }

// A Finding is what became of one thing that was asked for.
type Finding struct {
	Name   string // of the field that asked for it
	Active bool
	How    string // what enforces it; or why nothing does, and what a human can do about it
}

// A Verdict says whether the kernel has ended a process for want of memory.
type Verdict uint8

const (
	Unknown Verdict = iota // nothing here can tell
	Killed
	Spared
)
