package ipc

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Dozes reports whether this system lets a process wait for a word in memory that another one changes.
func Dozes() bool { return true }

const futexWait, futexWake = 0, 1 // not private: the word is shared

// await waits until somebody wakes those who wait for the word, as long as it holds value, and for no longer than atMost. It may return early.
func await(word *atomic.Uint32, value uint32, atMost time.Duration) {
	limit := syscall.NsecToTimespec(int64(atMost))
	_, _, _ = syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(value), uintptr(unsafe.Pointer(&limit)), 0, 0)
}

// wake wakes the one who waits for the word.
func wake(word *atomic.Uint32) {
	_, _, _ = syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, 1, 0, 0, 0)
}
