package main

import (
	"fmt"
	"os"
)

// residentMemory is how much of this process is in memory, in bytes.
func residentMemory() (float64, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var all, resident float64
	if _, err := fmt.Sscan(string(statm), &all, &resident); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return resident * float64(os.Getpagesize()), nil
}
