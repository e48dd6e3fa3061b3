//go:build unix

package tasks

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// raise sends this process a signal. Go turns those that a program might send itself by mistake into a crash of its own.
func raise(s syscall.Signal) error {
	signal.Reset(s)
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		return err
	}
	time.Sleep(time.Second) // it is delivered meanwhile
	return fmt.Errorf("the process survived signal %d (%v)", int(s), s)
}
