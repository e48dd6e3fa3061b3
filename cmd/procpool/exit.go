package main

import (
	"errors"
	"fmt"
)

// Exit codes, as the help tells them.
const (
	exitOK     = 0
	exitFailed = 1 // some items failed
	exitUsage  = 2
	exitPool   = 3 // the worker cannot be started or used, or the pool broke
	exitIO     = 4 // the input cannot be read, or the output not written
)

// An exitError is an error with the exit code it leads to. Without a text it is silent.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

func fail(code int, format string, args ...any) error {
	return &exitError{code, fmt.Sprintf(format, args...)}
}

// exitCode is the code that an error leads to.
func exitCode(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	default:
		return exitUsage // what the library of the flags finds out about them
	}
}
