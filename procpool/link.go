package procpool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool/internal/confine"
)

// A link is a worker as the pool reaches it: its process and the goroutines that talk to it. It carries out what the state
// decides and tells it what happens; it decides nothing itself.
type link struct {
	pool    *ProcessPoolExecutor
	id      workerID
	stderr  tail
	drains  sync.WaitGroup // the two that drain the worker's output
	writer  sync.WaitGroup
	cancels bool          // the worker understands cancel; set before the writer starts
	cell    *confine.Cell // what holds the process
	arena   *ipc.Arena    // nil if every value travels in its message; set before the writer starts
	limit   resultLimit   // set with it
	late    bool          // the start took all of Config.StartTimeout
	killed  bool          // the process had not ended by itself when end was done with it
	undead  bool          // nor of SIGKILL

	mu      sync.Mutex
	process *process       // nil until it was started
	doomed  syscall.Signal // a signal that came before the process
	asked   bool           // the process was asked to say what it is doing, and to end
	posted  []action       // for the writer
	writing bool           // somebody writes
	cause   error          // why the writer ended the worker
	closing bool           // the writer closes the requests once it has written everything

	now []byte // of whoever writes a call that is alone

	reads    sync.Mutex // of whoever reads responses
	in       inbound
	standing atomic.Bool   // the reader stands by
	sought   chan struct{} // holds a token when it is to read again
	sent     atomic.Int64  // requests without a response
	lonely   atomic.Int64  // calls so far that were alone with the worker

	wake chan struct{} // holds a token while the writer has something to do
	stop chan struct{} // closed when nothing more needs to be written
}

func newLink(p *ProcessPoolExecutor, id workerID) *link {
	return &link{pool: p, id: id, sought: make(chan struct{}, 1), wake: make(chan struct{}, 1), stop: make(chan struct{})}
}

// live is a link from beginning to end. The pool's WaitGroup waits for it.
func (l *link) live() {
	began := time.Now()
	peer, err := l.start()
	if err != nil {
		l.late = time.Since(began) >= l.pool.config.StartTimeout
		var failed *futures.TaskError
		well := errors.As(err, &failed) // the initializer failed and not the worker, which would not leave by itself
		end := l.end(!l.late && !well)
		err, what := l.startError(err, end), failureOf(err)
		wanted := false
		l.pool.update(func(s *state, now time.Time) {
			wanted = s.worker(l.id).phase == starting
			s.startFailed(l.id, err, what, now)
		})
		if wanted { // rather than ended by the pool on its way
			l.pool.config.Logger.Error("procpool: no worker", "err", err)
		}
		l.release()
		return
	}
	l.pool.config.Logger.Debug("procpool: worker ready", "pid", l.pid(), "build", peer.hello.Build)
	l.writer.Go(l.write)
	l.reads.Lock() // before there is a call that somebody could wait for, and for good, but for the time that read lends it
	l.in = inbound{frames: peer.frames, ring: peer.ring, dozes: peer.dozes, arena: l.arena, limit: l.limit, due: ipc.InitializerID + 1}
	l.pool.update(func(s *state, now time.Time) {
		s.becameReady(l.id, abilities{claims: peer.claims, chunks: peer.chunks, dumps: peer.dumps, refuse: peer.refuse, silent: l.in.silent.Load}, now)
	})
	cause := l.readAll()
	end := l.end(cause == nil)
	if cause == nil {
		cause = l.cause // the writer has ended
	}
	end.cause = cause
	l.pool.update(func(s *state, now time.Time) { s.gone(l.id, end, now) })
	l.pool.config.Logger.Debug("procpool: worker gone", "pid", end.pid, "state", fmt.Sprint(end.state), "cause", cause)
	l.release()
}

// peer is what the worker said of itself.
type peer struct {
	frames *ipc.Reader
	hello  ipc.HelloParam
	claims *ipc.Claims
	ring   *ipc.Ring
	dozes  bool
	chunks bool
	dumps  bool
	refuse func(*task) error
}

// start starts the process, shakes hands, and runs the initializer.
func (l *link) start() (peer, error) {
	deadline := time.Now().Add(l.pool.config.StartTimeout)
	if err := shake(l.pool.config, l.pool.command.path, l.spawn); err != nil {
		return peer{}, err
	}
	l.process.setDeadline(deadline) // ends a silent worker
	frames := ipc.NewReader(&responses{process: l.process, grace: pipeSize}, ipc.MaxHello)
	hello, err := readHello(frames)
	if err != nil {
		return peer{}, err
	}
	p := peer{frames: frames, hello: hello, refuse: refusals(hello)}
	l.limit = l.pool.maxResult()
	welcome := ipc.WelcomeParam{Protocol: ipc.Version, MaxBody: ipc.MaxBody, MaxResult: uint32(l.limit.most)}
	if slices.Contains(hello.Features, ipc.FeatureCancel) {
		welcome.Features = append(welcome.Features, ipc.FeatureCancel)
		l.cancels = true
	}
	if slices.Contains(hello.Features, ipc.FeatureClaims) {
		if p.claims, err = l.process.claims(); err != nil {
			return peer{}, err
		}
		welcome.Features = append(welcome.Features, ipc.FeatureClaims)
		welcome.Slots = p.claims.Slots()
		if p.chunks = slices.Contains(hello.Features, ipc.FeatureChunk); p.chunks {
			welcome.Features = append(welcome.Features, ipc.FeatureChunk)
		}
	}
	if slices.Contains(hello.Features, ipc.FeatureRing) {
		if p.ring, err = l.process.ring(); err != nil {
			return peer{}, err
		}
		welcome.Features = append(welcome.Features, ipc.FeatureRing)
		if p.dozes = ipc.Dozes() && slices.Contains(hello.Features, ipc.FeatureDoze); p.dozes {
			welcome.Features = append(welcome.Features, ipc.FeatureDoze)
		}
	}
	if slices.Contains(hello.Features, ipc.FeatureArena) {
		if l.arena, err = l.process.arena(); err != nil {
			return peer{}, err
		}
		if l.arena != nil {
			welcome.Features = append(welcome.Features, ipc.FeatureArena)
		}
	}
	if p.dumps = slices.Contains(hello.Features, ipc.FeatureDump); p.dumps {
		welcome.Features = append(welcome.Features, ipc.FeatureDump)
	}
	frames.SetLimit(l.limit.maxFrame(l.pool.maxBody()))
	greeting := ipc.AppendNotification(nil, ipc.Welcome, welcome)
	greeting = ipc.AppendNotification(greeting, "grease", nil) // workers ignore what they do not know, and this keeps it so
	if _, err := l.process.requests.Write(greeting); err != nil {
		return peer{}, fmt.Errorf("write welcome: %w", err)
	}
	if err := l.initialize(frames); err != nil {
		if p.dumps && errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(deadline) {
			l.askWhatItDoes()
		}
		return peer{}, err
	}
	l.process.setDeadline(time.Time{})
	return p, nil
}

// spawn starts the process and the goroutines that drain its output. env is what go-plugin adds.
func (l *link) spawn(env []string) (*plugged, error) {
	config := l.pool.config
	cmd := exec.Command(l.pool.command.path, l.pool.command.args...)
	cmd.Dir = config.Dir
	cmd.Env = append(config.environment(), env...)
	cell, err := l.pool.plan.Cell()
	if err != nil {
		return nil, &confineError{err}
	}
	process, err := startProcess(cmd, config.ArenaSize, cell)
	if err != nil {
		return nil, errors.Join(err, cell.Close())
	}
	l.cell = cell
	l.mu.Lock()
	l.process = process
	if l.doomed != 0 {
		process.signal(l.doomed)
	}
	l.mu.Unlock()

	logger := config.Logger.With("pid", process.pid())
	stdoutLines := &lines{each: func(line string) { logger.Debug(line, "stream", "stdout") }}
	handshake, line := io.Pipe()
	stderrLines := &lines{each: (&stderrLog{to: logger.With("stream", "stderr")}).line}
	filter := &handshakeFilter{line: line, rest: combined{l.pool.output, stdoutLines}}
	l.drains.Go(func() {
		drain(process.stdout, filter)
		filter.close()
		stdoutLines.close()
	})
	l.drains.Go(func() {
		words := &untilDump{asked: l.wasAsked, to: combined{&l.stderr, l.pool.output, stderrLines}}
		drain(process.stderr, words)
		words.close()
		stderrLines.close()
	})
	return &plugged{name: config.Worker.String(), process: process, stdout: handshake}, nil
}

// signal sends a signal to the worker's process group, now or as soon as there is one.
func (l *link) signal(sig syscall.Signal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.process == nil {
		l.doomed = sig
		return
	}
	if sig == syscall.SIGQUIT {
		l.asked = true
		l.process.quit()
		return
	}
	l.process.signal(sig)
	if sig == syscall.SIGKILL {
		time.AfterFunc(deathTime, l.process.turnFrom)
	}
}

// askWhatItDoes waits until the process has said it, and has ended, but not for long.
func (l *link) askWhatItDoes() {
	l.signal(syscall.SIGQUIT)
	select {
	case <-l.process.exited:
	case <-time.After(dumpTime):
	}
}

// wasAsked reports whether the process was asked to say what it is doing, and to end.
func (l *link) wasAsked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

func (l *link) pid() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.process == nil {
		return 0
	}
	return l.process.pid()
}

const (
	// exitTime bounds how long a worker that has closed its end of a pipe may take to exit.
	exitTime = 500 * time.Millisecond
	// deathTime bounds how long a process may take to end of SIGKILL: in a system call that nothing interrupts it does not, for as long as
	// that takes, and in a frozen cgroup neither.
	deathTime = 2 * time.Second
	// drainTime bounds how long the pipes of a process that has ended are read, should a stranger hold their other end.
	drainTime = 500 * time.Millisecond
	// outputTime bounds how long a link waits for Config.Stderr and Config.Logger to take a worker's last words.
	outputTime = 2 * drainTime
)

// end sees the process off, which exits by itself soon if patient is true. After it there is no process, but for one that does not even end of
// SIGKILL, and of the link's goroutines only live, and those that a user's Writer or Logger does not let go.
func (l *link) end(patient bool) ending {
	if l.process == nil {
		return ending{}
	}
	if patient {
		select {
		case <-l.process.exited:
		case <-time.After(exitTime):
		}
	}
	select {
	case <-l.process.exited:
	default:
		l.killed = true
		l.process.signal(syscall.SIGKILL)
		select {
		case <-l.process.exited:
		case <-time.After(deathTime):
			l.undead = true
			l.pool.config.Logger.Error("procpool: a worker does not end of SIGKILL, and is given up", "pid", l.process.pid())
		}
	}
	oom := OOMUnknown
	if !l.undead {
		oom = oomOf(l.cell.Verdict())
		l.clearCell()
	}
	close(l.stop)
	_ = l.process.requests.SetWriteDeadline(time.Now()) // fails only for a file that is closed
	l.writer.Wait()
	drained := make(chan struct{})
	go func() { // ends with the drains
		l.drains.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(outputTime):
	}
	return ending{pid: l.process.pid(), state: l.process.ended(), undead: l.undead, asked: l.wasAsked(), stderr: l.stderr.String(), dump: l.process.dumped(), oom: oom}
}

// release gives back what the pool and the system keep for the link.
func (l *link) release() {
	l.pool.mu.Lock()
	delete(l.pool.link, l.id)
	l.pool.unlock()
	switch {
	case l.process == nil:
	case l.undead:
		go func() { // ends with the process, some day
			<-l.process.exited
			l.clearCell()
			l.process.close()
		}()
	default:
		l.process.close()
	}
}

// clearCell ends what has escaped the process group, and gives back what the system keeps for it. It is called when the process has ended.
func (l *link) clearCell() {
	if err := l.cell.Close(); err != nil {
		l.pool.config.Logger.Error("procpool: something is left of a worker", "pid", l.process.pid(), "err", err)
	}
}
