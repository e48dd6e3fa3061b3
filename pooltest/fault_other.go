//go:build !unix

package pooltest

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

func unsupported(what string) error {
	return fmt.Errorf("pooltest: %s: %w on this system", what, errors.ErrUnsupported)
}

func signalSelf(sig syscall.Signal) error {
	if sig != syscall.SIGKILL {
		return unsupported(fmt.Sprintf("Signal(%v)", sig))
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		return err
	}
	forever()
	return nil
}

func freezeSelf() error             { return unsupported(kindFreeze) }
func exhaustFiles() error           { return unsupported(kindExhaustFiles) }
func writeRaw([]byte) error         { return unsupported("writing to the pool") }
func closeLifeline() error          { return unsupported(kindCloseLifeline) }
func startGrandchild() error        { return unsupported(kindGrandchild) }
func borrowFile() (giveBack func()) { return func() {} }
