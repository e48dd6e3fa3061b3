//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed7d1be1d5/concurrent/cmd/worker/tasks"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// The programs of the scripts are this test binary: procpool, the stock worker with a few functions more, and a hostile one.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"procpool": main,
		"worker":   func() { worker.Main(append(oddities, tasks.All...)...) },
		"stranger": stranger,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"run":       runToEnd,
			"start":     startSession,
			"feed":      feed,
			"await":     await,
			"interrupt": interrupt,
			"fifo":      makeFIFO,
			"open":      openGate,
			"finish":    finish,
			"gone":      gone,
			"longline":  longLine,
		},
	})
}

// runToEnd is "run CODE [<FILE] ARGUMENT...": procpool exits with CODE and leaves its output in the files out and err.
func runToEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: run CODE [<FILE] ARGUMENT...")
	}
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	args = args[1:]
	cmd := programUnderTest(ts)
	if len(args) > 0 && strings.HasPrefix(args[0], "<") {
		in, err := os.Open(ts.MkAbs(args[0][1:]))
		ts.Check(err)
		defer in.Close()
		cmd.Stdin = in
		args = args[1:]
	}
	cmd.Args = append(cmd.Args, args...)
	out, err := os.Create(ts.MkAbs("out"))
	ts.Check(err)
	defer out.Close()
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = out, &stderr
	checkExit(ts, cmd.Run(), code, &stderr)
}

// programUnderTest is procpool in the script's folder and environment.
func programUnderTest(ts *testscript.TestScript) *exec.Cmd {
	cmd := exec.Command("procpool")
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, "procpool"); cmd.Err != nil {
			if _, err := os.Stat(path); err == nil {
				cmd.Path, cmd.Err = path, nil
			}
		}
	}
	ts.Check(cmd.Err)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"), "WORK="+ts.Getenv("WORK"))
	return cmd
}

func checkExit(ts *testscript.TestScript, err error, code int, stderr *strings.Builder) {
	ts.Logf("[stderr]\n%s", stderr)
	ts.Check(os.WriteFile(ts.MkAbs("err"), []byte(stderr.String()), 0o600))
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != code {
		ts.Fatalf("procpool exited with %d, not %d", got, code)
	}
}

// longLine is "longline FILE N": FILE holds one JSON string of N letters and no end of line.
func longLine(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(`"`+strings.Repeat("x", n)+`"`), 0o600))
}

// makeFIFO is "fifo NAME": what a gate waits at.
func makeFIFO(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

// openGate is "open NAME": the gate lets its call go on. It waits for the call to be there.
func openGate(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	ts.Check(f.Close())
}
