//go:build !linux

package ipc

import (
	"sync/atomic"
	"time"
)

// Dozes reports whether this system lets a process wait for a word in memory that another one changes.
func Dozes() bool { return false }

func await(*atomic.Uint32, uint32, time.Duration) {}
func wake(*atomic.Uint32)                         {}
