//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A session is a procpool that a script talks to while it runs. There is one at a time in a script.
type session struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout screen
	stderr screen
}

var sessions sync.Map // *testscript.TestScript to *session

func sessionOf(ts *testscript.TestScript) *session {
	s, ok := sessions.Load(ts)
	if !ok {
		ts.Fatalf("there is no session: start one")
	}
	return s.(*session)
}

// startSession is "start ARGUMENT...".
func startSession(ts *testscript.TestScript, _ bool, args []string) {
	s := &session{cmd: programUnderTest(ts)}
	s.cmd.Args = append(s.cmd.Args, args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	var err error
	s.stdin, err = s.cmd.StdinPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	sessions.Store(ts, s)
	ts.Defer(func() {
		sessions.Delete(ts)
		if s.cmd.ProcessState == nil { // the script failed before its end
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
}

// feed is "feed LINE...", or "feed -eof", which ends the input.
func feed(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	for _, arg := range args {
		if arg == "-eof" {
			ts.Check(s.stdin.Close())
			continue
		}
		_, err := io.WriteString(s.stdin, arg+"\n")
		ts.Check(err)
	}
}

// await is "await stdout|stderr REGEXP": it returns once the session has written that.
func await(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	on := &s.stdout
	if args[0] == "stderr" {
		on = &s.stderr
	}
	if !on.await(regexp.MustCompile(args[1])) {
		ts.Fatalf("%s never showed %s:\n%s\n[stderr]\n%s", args[0], args[1], on.text(), s.stderr.text())
	}
}

// interrupt is "interrupt INT|TERM".
func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	sig := map[string]os.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[args[0]]
	ts.Check(sessionOf(ts).cmd.Process.Signal(sig))
}

// finish is "finish CODE": the session ends with CODE by itself, and leaves its output in the files out and err.
func finish(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	overdue := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer overdue.Stop()
	err = s.cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("out"), s.stdout.text(), 0o600))
	var stderr strings.Builder
	stderr.Write(s.stderr.text())
	checkExit(ts, err, code, &stderr)
}

// gone makes sure that every worker that reached a gate is no more.
func gone(ts *testscript.TestScript, _ bool, _ []string) {
	found := regexp.MustCompile(`gate \S+ reached by (\d+)`).FindAllSubmatch(sessionOf(ts).stderr.text(), -1)
	if len(found) == 0 {
		ts.Fatalf("no worker has reached a gate")
	}
	for _, match := range found {
		pid, err := strconv.Atoi(string(match[1]))
		ts.Check(err)
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			ts.Fatalf("worker %d is still there: %v", pid, err)
		}
	}
}

// patience bounds every wait of a script for an event that does not come.
const patience = time.Minute

// A screen keeps what is written to it and lets others wait for it.
type screen struct {
	mu      sync.Mutex
	written bytes.Buffer
	changed chan struct{} // closed at the next write; nil while nobody waits
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return s.written.Write(p)
}

func (s *screen) text() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.written.Bytes())
}

// await reports whether what was written came to match.
func (s *screen) await(want *regexp.Regexp) bool {
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		matches := want.Match(s.written.Bytes())
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if matches {
			return true
		}
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}
