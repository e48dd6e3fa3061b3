package confine

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// A worker in a sandbox ends with its host from its fork on: until it has its lifeline by the signal on its parent's death, which must not come for the thread that
// has started it. Nobody can take that signal back but the worker itself. So it is had to, while it is held.

const canDecline = true

// declining is what decline asks of ptrace.
var declining = []uint32{unix.PTRACE_GETREGSET, unix.PTRACE_SETREGSET, unix.PTRACE_PEEKTEXT, unix.PTRACE_POKETEXT, unix.PTRACE_SYSCALL}

// decline has a held process call prctl(PR_SET_PDEATHSIG, 0): at the instruction where it stands, of which nothing is left afterwards. It is called on the thread that holds it.
func decline(pid int) error {
	var at, to, after syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(pid, &at); err != nil {
		return fmt.Errorf("read its registers: %w", err)
	}
	const code64 = 0x33 // the segment of code of 64 bits
	if at.Cs != code64 {
		return errors.New("it is a program of 32 bits: build it for 64")
	}
	call := []byte{0x0f, 0x05} // syscall
	text := make([]byte, len(call))
	if _, err := syscall.PtracePeekText(pid, uintptr(at.Rip), text); err != nil {
		return fmt.Errorf("read its code (may this program read the worker's?): %w", err)
	}
	if _, err := syscall.PtracePokeText(pid, uintptr(at.Rip), call); err != nil {
		return fmt.Errorf("write its code: %w", err)
	}
	to = at
	to.Orig_rax = ^uint64(0) // no system call is to be restarted
	to.Rax, to.Rdi, to.Rsi, to.Rdx, to.R10, to.R8 = unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, 0, 0, 0, 0
	if err := syscall.PtraceSetRegs(pid, &to); err != nil {
		return fmt.Errorf("write its registers: %w", err)
	}
	const entered = ^uint64(unix.ENOSYS) + 1                                                  // what stands for the result on the way in
	for after.Rax = entered; after.Rax == entered || after.Rip != at.Rip+uint64(len(call)); { // a SIGTRAP from elsewhere may come before
		if err := syscall.PtraceSyscall(pid, 0); err != nil { // a single step would go on when the thread has ended
			return fmt.Errorf("let it go on: %w", err)
		}
		if err := awaitHold(pid); err != nil {
			return err
		}
		if err := syscall.PtraceGetRegs(pid, &after); err != nil {
			return fmt.Errorf("read its registers: %w", err)
		}
	}
	if after.Rax != 0 {
		return fmt.Errorf("prctl: %w", syscall.Errno(-after.Rax))
	}
	if _, err := syscall.PtracePokeText(pid, uintptr(at.Rip), text); err != nil {
		return fmt.Errorf("write its code: %w", err)
	}
	if err := syscall.PtraceSetRegs(pid, &at); err != nil {
		return fmt.Errorf("write its registers: %w", err)
	}
	return nil
}
