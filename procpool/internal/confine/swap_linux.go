package confine

import (
	"errors"
	"os"
	"strings"
)

// swaps is what memory of this machine can be moved to.
func swaps() string {
	text, _ := os.ReadFile("/proc/swaps") // a kernel without swap has no such file
	return string(text)
}

// swapping says what a limit of memory means for swap, which the kernel counts against it or not. The error says why the limit does not hold.
func swapping(counted bool, swaps string) (how string, err error) {
	switch {
	case counted:
		return "swap included", nil
	case strings.Count(swaps, "\n") > 1: // below the titles
		return "", errors.New("the kernel does not count swap, so that a worker may have more than its limit there: turn swap off, or start the kernel with swapaccount=1")
	}
	return "swap is not counted, of which this machine has none", nil
}
