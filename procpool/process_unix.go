//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package procpool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool/internal/confine"
)

const supported = true

const (
	// claimSlots bounds how many calls may be sent ahead to a worker.
	claimSlots = 4096

	// ringSize is how many bytes of responses a worker may be ahead of its host, before it uses the pipe.
	ringSize = 256 << 10

	// dumpSize is how much of what a worker says as it dies is kept: of many goroutines not all.
	dumpSize = 256 << 10
)

// A process is a running worker program: its descriptors, its group, its end. Nothing here knows of calls.
type process struct {
	cmd                       *exec.Cmd
	requests                  *os.File // this host writes
	responses                 *os.File // this host reads
	stdout                    *os.File // this host reads
	stderr                    *os.File // this host reads
	rawRequests, rawResponses syscall.RawConn
	memory                    [][]byte // shared with the worker: the claim table, the ring, the arena if there is one
	dump                      *os.File // the worker writes into it as it dies
	lifeline                  *lifeline
	id                        int // its pid, and its group's
	exited                    chan struct{}
	state                     *os.ProcessState // set before exited is closed

	mu     sync.Mutex
	reaped bool // the pid may be somebody else's
}

// startProcess starts cmd as the leader of a process group, with pipes, claim table and ring as its descriptors 3 to 6, an
// arena of arenaSize bytes, unless that is 0, as 7, and a file for its last words as 8. It is held by cell from before its first instruction.
func startProcess(cmd *exec.Cmd, arenaSize int, cell *confine.Cell) (p *process, err error) {
	var theirs, ours []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close() // the process has its own copies
		}
		if err != nil {
			for _, f := range ours {
				_ = f.Close() // nothing was written
			}
		}
	}()
	// pipe makes a pipe and returns this host's end of it.
	pipe := func(hostReads bool) (our, their *os.File) {
		if err != nil {
			return nil, nil
		}
		var r, w *os.File
		if r, w, err = os.Pipe(); err != nil {
			return nil, nil
		}
		if our, their = w, r; hostReads {
			our, their = r, w
		}
		ours, theirs = append(ours, our), append(theirs, their)
		return our, their
	}
	p = &process{cmd: cmd, exited: make(chan struct{})}
	var childRequests, childResponses *os.File
	p.requests, childRequests = pipe(false)
	p.responses, childResponses = pipe(true)
	if err == nil {
		p.rawRequests, err = p.requests.SyscallConn()
	}
	if err == nil {
		p.rawResponses, err = p.responses.SyscallConn()
	}
	var childStdout, childStderr *os.File
	p.stdout, childStdout = pipe(true)
	p.stderr, childStderr = pipe(true)
	if err != nil {
		return nil, fmt.Errorf("make pipes: %w", err)
	}
	null, err := os.Open(os.DevNull) // which the thread that starts the process may not be allowed to
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, null)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, childStdout, childStderr
	cmd.ExtraFiles = []*os.File{childRequests, childResponses}
	sizes := []int{claimSlots * 8, ipc.RingMemory(ringSize)}
	if arenaSize > 0 {
		sizes = append(sizes, ipc.ArenaMemory(arenaSize))
	}
	for _, size := range sizes {
		var file *os.File
		if file, err = p.share(size); err != nil {
			p.unmap()
			return nil, fmt.Errorf("make memory to share: %w", err)
		}
		theirs = append(theirs, file)
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	if arenaSize == 0 {
		cmd.ExtraFiles = append(cmd.ExtraFiles, nil)
	}
	if p.dump, err = sharedMemory("concurrent", dumpSize); err != nil {
		p.unmap()
		return nil, fmt.Errorf("make a file to share: %w", err)
	}
	ours = append(ours, p.dump)
	cmd.ExtraFiles = append(cmd.ExtraFiles, p.dump)
	cmd.SysProcAttr = processAttributes()
	cell.Prepare(cmd)
	started := make(chan error)
	go p.live(started, cell) // ends with the process
	if err = <-started; err != nil {
		p.unmap()
		return nil, err
	}
	return p, nil
}

// share makes memory to share with the worker, and maps it.
func (p *process) share(size int) (*os.File, error) {
	file, err := sharedMemory("concurrent", int64(size))
	if err != nil {
		return nil, err
	}
	mem, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map: %w", err), file.Close())
	}
	p.memory = append(p.memory, mem)
	return file, nil
}

// live starts the process and waits for its end, both on one thread, which lives as long: the signal that Linux sends on the parent's death follows the thread that
// forked (golang/go#27505). A thread that has entered a sandbox serves no more than the start: it ends, and with it the only part of this program that a worker
// in the same sandbox could reach. The worker gets no signal for it, and has its lifeline by then.
func (p *process) live(started chan<- error, cell *confine.Cell) {
	var err error
	if cell.Taints() {
		err = onSpentThread(func() error { return p.start(cell) })
	} else {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err = p.start(cell)
	}
	started <- err
	if err != nil {
		return
	}
	zombie := awaitExit(p.id, cell.Taints())
	if !zombie {
		p.state, err = p.cmd.Process.Wait() // the system cannot wait without reaping: this waits
	}
	p.mu.Lock()
	if zombie { // so that pid and group are its own until it is reaped, which nobody sees but through mu
		strike(-p.id)                       // what it started and left behind
		p.state, err = p.cmd.Process.Wait() // it has ended: this does not wait
	}
	p.reaped = true
	if err != nil { // this program has waited for it somewhere else, as those that are pid 1 do for whatever children they have
		_ = p.cmd.Process.Release()
	}
	deadline := time.Now().Add(drainTime)
	for _, f := range []*os.File{p.responses, p.stdout, p.stderr} {
		_ = f.SetReadDeadline(deadline) // fails only for a file that is closed, which nobody reads
	}
	p.mu.Unlock()
	close(p.exited)
}

// onSpentThread calls do on a thread that ends with it, and returns what do has, perhaps before the thread has ended. It takes another one than the first of
// the program, which would stay.
func onSpentThread(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // a thread ends with the goroutine that has not unlocked it
		if !confine.OnFirstThread() {
			done <- do()
			return
		}
		defer runtime.UnlockOSThread()
		done <- onSpentThread(do) // which cannot be put on this thread meanwhile
	}()
	return <-done
}

// strikeAll kills a worker and its group, which it may have left.
func strikeAll(pid int) {
	strike(-pid)
	strike(pid)
}

// strike kills a process, or a group.
func strike(pid int) {
	_ = syscall.Kill(pid, syscall.SIGKILL) // an error says that there is nothing
}

// start starts the process in its cell. The thread that calls it may be allowed nothing afterwards, so another one does what is to be done then.
func (p *process) start(cell *confine.Cell) error {
	err := cell.Enter()
	if err != nil {
		err = &confineError{err}
	} else {
		err = p.cmd.Start()
	}
	if cell.Leave(); err != nil {
		return err
	}
	p.id = p.cmd.Process.Pid
	tied := make(chan error, 1)
	go func() {
		var err error
		p.lifeline, err = newLifeline(p.id)
		tied <- err
	}()
	if err = <-tied; err == nil {
		if err = cell.Settle(p.id); err == nil {
			return nil
		}
		err = &confineError{err}
	}
	undone := make(chan struct{})
	go func() {
		defer close(undone)
		strikeAll(p.id)
		awaitExit(p.id, false) // not taking the hold for its end
		_ = p.cmd.Wait()       // that it was killed is no news
		p.lifeline.cut()
	}()
	<-undone
	return err
}

// setDeadline bounds talking to a process that lives: once it has ended, another bound holds.
func (p *process) setDeadline(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return
	}
	_ = p.requests.SetWriteDeadline(at) // these two fail only for a file that is closed
	_ = p.responses.SetReadDeadline(at)
}

// turnFrom has nobody wait any longer for what the process may say, if it has not ended.
func (p *process) turnFrom() { p.setDeadline(time.Now()) }

// ended is how the process has ended; nil if it has not.
func (p *process) ended() *os.ProcessState {
	select {
	case <-p.exited:
		return p.state
	default:
		return nil
	}
}

// tryWrite writes b, which is no longer than a pipe takes at once, and reports false if it cannot be written without
// waiting.
func (p *process) tryWrite(b []byte) bool {
	n := 0
	err := p.rawRequests.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true
	})
	return err == nil && n == len(b)
}

// readable waits until responses can be read, or have come to their end, for no longer than at most.
func (p *process) readable(atMost time.Duration) bool {
	ready := false
	err := p.rawResponses.Control(func(fd uintptr) {
		fds := [...]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for range 4 { // signals
			n, err := unix.Poll(fds[:], int(atMost/time.Millisecond))
			if ready = n > 0; err != unix.EINTR {
				return
			}
		}
	})
	return err == nil && ready
}

// signal reaches the whole process group, unless the process has been waited for: the pid may be somebody else's then.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.reaped:
	case sig == syscall.SIGKILL:
		strikeAll(p.id)
	default:
		_ = syscall.Kill(-p.id, sig) // an error says that it is gone
	}
}

// quit asks the process itself to say what it is doing, and to end.
func (p *process) quit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(p.id, syscall.SIGQUIT) // an error says that it is gone
	}
}

// dumped is what the process has said as it died: the reason, and stacks. It is called when the process has ended.
func (p *process) dumped() string {
	text := make([]byte, dumpSize)
	n, _ := p.dump.ReadAt(text, 0) // whatever there is
	text = text[:n]
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return strings.ToValidUTF8(string(text), "?")
}

// weight is how many bytes of memory the process has to itself, if the system tells and it has not been waited for.
func (p *process) weight() (bytes int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return 0, false
	}
	return privateMemory(p.id)
}

func (p *process) pid() int { return p.id }

// close gives back what the process had of this host. It is called when the process has ended and nobody uses its claims.
func (p *process) close() {
	for _, f := range []*os.File{p.requests, p.responses, p.stdout, p.stderr, p.dump} {
		_ = f.Close() // the other end is gone, or there is none
	}
	p.lifeline.cut()
	p.unmap()
}

func (p *process) unmap() {
	for _, mem := range p.memory {
		_ = syscall.Munmap(mem) // fails only for what is not mapped
	}
	p.memory = nil
}

// claims lays the claim table over the memory shared with the worker.
func (p *process) claims() (*ipc.Claims, error) { return ipc.NewClaims(p.memory[0]) }

// ring lays the ring over the memory shared with the worker.
func (p *process) ring() (*ipc.Ring, error) { return ipc.NewRing(p.memory[1]) }

// arena lays the arena over the memory shared with the worker; nil without one.
func (p *process) arena() (*ipc.Arena, error) {
	if len(p.memory) < 3 {
		return nil, nil
	}
	return ipc.NewHostArena(p.memory[2])
}

func signalOf(s *os.ProcessState) syscall.Signal {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ws.Signal()
	}
	return 0
}

// maxRSS is in bytes.
func maxRSS(s *os.ProcessState) int64 {
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return int64(usage.Maxrss) * rssUnit //nolint:unconvert // it is narrower on some systems
}
