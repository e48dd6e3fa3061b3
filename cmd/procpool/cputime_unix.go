//go:build unix

package main

import (
	"syscall"
	"time"
)

// childrenCPU is the CPU time of all processes that this one has started and that have ended.
func childrenCPU() time.Duration { return cpuTime(syscall.RUSAGE_CHILDREN) }

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration { return cpuTime(syscall.RUSAGE_SELF) }

func cpuTime(who int) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(who, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
