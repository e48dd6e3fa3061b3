package confine

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"

	"golang.org/x/sys/unix"
)

// A worker starts under the filter that keeps it from starting others. What tells the two apart is a cookie of its start: a number in the upper half of the flags of clone, of which the
// kernel takes no notice and the filter does. The worker cannot read it, since neither filter nor memory of this program are within its reach, and has one guess.

// hasCookies says whether the flags of clone have an upper half here.
const hasCookies = bits.UintSize == 64

// newCookie is never zero, except where there are none.
func newCookie() uint32 {
	if !hasCookies {
		return 0
	}
	var b [4]byte
	for {
		_, _ = rand.Read(b[:]) // which never fails
		if n := binary.LittleEndian.Uint32(b[:]); n != 0 {
			return n
		}
	}
}

// carry is the flags of clone by which a start shows its cookie.
func carry(cookie uint32) uintptr { return uintptr(uint64(cookie) << 32) } // without an upper half the cookie is zero

// startFlags are the flags with which package syscall starts a process.
const startFlags = unix.CLONE_VFORK | unix.CLONE_VM | uint32(unix.SIGCHLD)

// forking is clone for threads, and for the start that shows the cookie.
func forking(cookie uint32) rule {
	const all = ^uint32(0)
	return rule{
		name: "clone",
		alternatives: []alternative{
			{{arg: 0, mask: unix.CLONE_THREAD | namespaces, value: unix.CLONE_THREAD}},
			{{arg: 0, mask: all &^ unix.CLONE_PIDFD, value: startFlags}, {arg: 0, high: true, mask: all, value: cookie}},
		},
		failing: []alternative{{{arg: 0, high: true, mask: all}}}, // who guesses does not
	}
}
