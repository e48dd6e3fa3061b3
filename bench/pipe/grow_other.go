//go:build !linux

package pipe

import "errors"

// Grow asks the kernel for a pipe that holds size bytes, where there is a way to ask.
func Grow(End, int) error { return errors.ErrUnsupported }
