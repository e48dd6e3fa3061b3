//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// endAsGroup makes a done ctx kill the children of cmd as well, and spares them the terminal's interrupt.
func endAsGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
