package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A rule allows a system call if one of its alternatives holds. Otherwise the call fails; but if there are any for that and none of them holds either, whoever
// makes the call is ended.
type rule struct {
	name         string
	alternatives []alternative
	failing      []alternative
}

// An alternative holds if all of its conditions do.
type alternative []condition

// A condition holds if an argument, under a mask, has a value. It sees the low half of the argument, which is all that the kernel looks at
// where the argument is an int, or else the high one.
type condition struct {
	arg         uint32
	high        bool
	mask, value uint32
}

// anyhow holds always.
var anyhow = []alternative{{}}

// oneOf holds if an argument has one of the values.
func oneOf(arg uint32, values ...uint32) (any []alternative) {
	for _, v := range values {
		any = append(any, alternative{{arg: arg, mask: ^uint32(0), value: v}})
	}
	return any
}

// numbered is a rule for this architecture.
type numbered struct {
	number uint32
	rule
}

const (
	denied  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	missing = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS) // so that libraries use what it replaces
	granted = unix.SECCOMP_RET_ALLOW
	deadly  = unix.SECCOMP_RET_KILL_PROCESS
)

// Offsets in what a filter sees.
const (
	numberAt = 0
	archAt   = 4
	argsAt   = 16
)

// x32 is the bit that calls of the second interface of amd64 have, which has numbers of its own.
const x32 = 0x40000000

// assemble writes the filter. A rule ends in a verdict once its number has matched: what its conditions have loaded is never taken for a number.
func assemble(archID uint32, hasX32 bool, numbers []uint32, rules []numbered, absent []uint32) ([]unix.SockFilter, error) {
	load := func(at uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: at, Size: 4} }
	ret := func(what uint32) bpf.Instruction { return bpf.RetConstant{Val: what} }
	program := []bpf.Instruction{
		load(archAt), bpf.JumpIf{Cond: bpf.JumpEqual, Val: archID, SkipTrue: 1}, ret(denied),
		load(numberAt),
	}
	if hasX32 {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32, SkipTrue: 1}, ret(denied))
	}
	for _, n := range numbers {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: n, SkipTrue: 1}, ret(granted))
	}
	for _, n := range absent {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: n, SkipTrue: 1}, ret(missing))
	}
	for _, r := range rules {
		var body []bpf.Instruction
		either := func(alternatives []alternative, verdict uint32) {
			for _, a := range alternatives {
				const each = 3 // instructions of a condition
				for i, c := range a {
					rest := uint8(each*(len(a)-1-i) + 1) // behind which is the next alternative
					body = append(body, load(c.at()), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: c.mask},
						bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: c.value, SkipTrue: rest})
				}
				body = append(body, ret(verdict))
			}
		}
		either(r.alternatives, granted)
		if r.failing == nil {
			body = append(body, ret(denied))
		} else {
			either(r.failing, denied)
			body = append(body, ret(deadly))
		}
		if len(body) > 255 {
			return nil, fmt.Errorf("the rule for system call %d is too long", r.number)
		}
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: r.number, SkipTrue: uint8(len(body))})
		program = append(program, body...)
	}
	program = append(program, ret(denied))
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, err
	}
	out := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		out[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return out, nil
}

// at is where the filter sees what the condition looks at. Every architecture that there are tables for is little-endian.
func (c condition) at() uint32 {
	at := argsAt + 8*c.arg
	if c.high {
		at += 4
	}
	return at
}

// install puts the filter on the calling thread, and on no other.
func install(program []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return errno
	}
	return nil
}

// hasSeccomp asks whether the kernel has filters: it finds the pointer wrong, and not the question.
func hasSeccomp() bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0)
	return errno == unix.EFAULT
}
