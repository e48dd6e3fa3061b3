//go:build !linux

package worker

import "os"

// readiness is for Linux only; elsewhere whoever reads waits in the read.
type readiness struct{}

func newReadiness(*os.File) *readiness { return nil }

func (*readiness) await() {}
