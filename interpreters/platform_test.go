package interpreters

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

func TestWhereGuestsCanBeCompiled(t *testing.T) {
	for _, p := range []struct {
		os, arch string
		sse41    bool
		want     bool
	}{
		{"linux", "amd64", true, true}, {"linux", "amd64", false, false}, {"linux", "arm64", false, true}, {"darwin", "arm64", false, true},
		{"windows", "amd64", true, true}, {"freebsd", "arm64", false, true}, {"netbsd", "amd64", true, true}, {"illumos", "amd64", true, true},
		{"solaris", "arm64", false, false}, {"dragonfly", "amd64", true, true}, {"openbsd", "amd64", true, false}, {"linux", "riscv64", false, false},
		{"linux", "386", true, false}, {"js", "wasm", false, false},
	} {
		err := checkPlatform(p.os, p.arch, p.sse41)
		if p.want {
			assert.NoError(t, err, "%v", p)
			continue
		}
		assert.ErrorIs(t, err, ErrSlowPlatform, "%v", p)
		assert.ErrorContains(t, err, p.os+"/"+p.arch)
	}
}

// A guest's events are those of the agreement: the kind in two bits, the number in the others.
func TestEventsKeepTheirOrderAndForgetCancels(t *testing.T) {
	e := events{wake: make(chan struct{}, 1)}
	e.post(abi.EventTicket, 7)
	e.post(abi.EventCancel, 3)
	e.post(abi.EventTicket, 8)
	assert.True(t, e.any())
	assert.Equal(t, []uint64{7, 1<<62 | 3}, e.take(2))
	e.post(abi.EventCancel, 4)
	e.forgetCancel()
	assert.Equal(t, []uint64{8}, e.take(100))
	assert.False(t, e.any())
	assert.Empty(t, e.take(1))
}

func TestTheAutopsyReadsWhatGoWrites(t *testing.T) {
	err := errReturned // something that is no exit
	for stderr, want := range map[string]Reason{
		"":                                     Trap,
		"panic: x\n\ngoroutine 1 [running]:\n": Panic,
		"fatal error: all goroutines are asleep - deadlock!\n":                                Deadlock,
		"runtime: out of memory\nfatal error: out of memory\n":                                OutOfMemory,
		"runtime: goroutine stack exceeds 16777216-byte limit\nfatal error: stack overflow\n": StackOverflow,
		"fatal error: concurrent map writes\n":                                                Panic,
		"panic: not this one\nand on\nfatal error: out of memory\n":                           OutOfMemory,
	} {
		assert.Equal(t, want, autopsy(1, err, nil, stderr).Reason, "%q", stderr)
	}
}
