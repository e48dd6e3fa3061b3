package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// cores are the numbers of those that this process may use.
func cores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var numbers []int
	for core := 0; len(numbers) < set.Count(); core++ {
		if set.IsSet(core) {
			numbers = append(numbers, core)
		}
	}
	return numbers
}

func setOf(cores []int) *unix.CPUSet {
	set := new(unix.CPUSet)
	for _, core := range cores {
		set.Set(core)
	}
	return set
}

// pinThread ties the calling goroutine to its thread, and the thread to some cores. unpin undoes both.
func pinThread(cores ...int) (unpin func(), err error) {
	runtime.LockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	if err := unix.SchedSetaffinity(0, setOf(cores)); err != nil {
		return nil, os.NewSyscallError("sched_setaffinity", err)
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &before) // it was allowed before
		runtime.UnlockOSThread()
	}, nil
}

// confine lets all threads of this process and of others run on some cores only.
func confine(cores []int, pids ...int) error {
	set := setOf(cores)
	for range 2 { // a thread that was made meanwhile may have got its cores from one whose turn had not come
		for _, pid := range append(pids, os.Getpid()) {
			threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
			if err != nil {
				return err
			}
			for _, thread := range threads {
				id, err := strconv.Atoi(thread.Name())
				if err != nil {
					return err
				}
				if err := unix.SchedSetaffinity(id, set); err != nil && err != unix.ESRCH { // it has ended
					return os.NewSyscallError("sched_setaffinity", err)
				}
			}
		}
	}
	return nil
}
