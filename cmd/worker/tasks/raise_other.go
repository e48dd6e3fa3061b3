//go:build !unix

package tasks

import (
	"errors"
	"syscall"
)

func raise(syscall.Signal) error { return errors.ErrUnsupported }
