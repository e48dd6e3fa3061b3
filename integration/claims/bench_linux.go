package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A verdict says what has become of a test.
type verdict string

const (
	fails      verdict = "ok"              // with the code taken out, as it must
	survives   verdict = "SURVIVES"        // the test passes with the code taken out: it proves nothing
	noMutant   verdict = "NO MUTANT"       // the text is not there, or what stands in its place cannot be built
	otherwise  verdict = "FAILS OTHERWISE" // not by what the test asserts
	passes     verdict = "passes"          // untouched, as it must
	broken     verdict = "FAILS UNTOUCHED"
	impossible verdict = "SKIPS"   // this machine cannot run it
	absent     verdict = "NO TEST" // none of that name has run
)

var verdicts = []verdict{fails, survives, noMutant, otherwise, broken, impossible, absent}

type report struct {
	verdict
	said string
	took time.Duration
}

// A bench runs tests in the tree in which this program was started.
type bench struct{ temp string }

// grace is what a run may take beyond the bound of the test itself: to build it, above all.
const grace = 5 * time.Minute

// untouched runs each test of the claims as it is, those of a package together.
func (b bench) untouched(claims []claim) map[test]verdict {
	runs := make(map[string][]string)
	for _, c := range claims {
		if !slices.Contains(runs[c.in], c.run) {
			runs[c.in] = append(runs[c.in], c.run)
		}
	}
	verdicts := make(map[test]verdict)
	for in, list := range runs {
		said, _ := b.goTest("", in, strings.Join(list, "|"), 10*time.Minute)
		wrong := false
		for _, run := range list {
			v := read(said, run)
			verdicts[test{in, run}] = v
			wrong = wrong || v != passes
		}
		if wrong {
			fmt.Printf("untouched, %s:\n%s", in, said)
		}
	}
	return verdicts
}

var line = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+)`)

// read says what has become of the tests that run names.
func read(said, run string) verdict {
	v := absent
	for _, m := range line.FindAllStringSubmatch(said, -1) {
		if !names(run, m[2]) {
			continue
		}
		switch m[1] {
		case "FAIL":
			return broken
		case "SKIP":
			v = impossible
		default:
			if v == absent {
				v = passes
			}
		}
	}
	return v
}

// names reports whether go test -run takes name for one of those that run is for, or below it.
func names(run, name string) bool {
	patterns, parts := strings.Split(strings.ReplaceAll(run, " ", "_"), "/"), strings.Split(name, "/")
	if len(parts) < len(patterns) {
		return false
	}
	for i, p := range patterns {
		if matched, err := regexp.MatchString(p, parts[i]); err != nil || !matched {
			return false
		}
	}
	return true
}

// try takes the code of a claim out and runs its test.
func (b bench) try(c claim) (r report) {
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	overlay, err := b.overlay(c)
	if err != nil {
		return report{verdict: noMutant, said: err.Error() + "\n"}
	}
	if said, err := b.run(overlay, grace, "go", "build", "-o", os.DevNull, "./"+c.at); err != nil {
		return report{verdict: noMutant, said: said}
	}
	said, err := b.goTest(overlay, c.in, c.run, c.within())
	r.said = said
	failed := read(said, c.run) == broken
	hung := strings.Contains(said, "panic: test timed out")
	crashed := !hung && (!failed || strings.Contains(said, "[recovered"))
	switch {
	case strings.Contains(said, "[build failed]"):
		r.verdict = noMutant
	case err == nil:
		r.verdict = survives
	case hung == (c.how == hangs) && crashed == (c.how == crashes):
		r.verdict = fails
	default:
		r.verdict = otherwise
	}
	return r
}

// overlay writes the mutant, and what tells go of it.
func (b bench) overlay(c claim) (string, error) {
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	file, text, err := c.mutant(root)
	if err != nil {
		return "", err
	}
	mutant, overlay := filepath.Join(b.temp, "mutant.go"), filepath.Join(b.temp, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutant}})
	if err != nil {
		return "", err
	}
	return overlay, errors.Join(os.WriteFile(mutant, text, 0o600), os.WriteFile(overlay, replace, 0o600))
}

func (b bench) goTest(overlay, in, run string, within time.Duration) (said string, err error) {
	return b.run(overlay, within+grace, "go", "test", "-count=1", "-vet=off", "-ldflags=-w", "-v", "-timeout="+within.String(), "-run="+run, "./"+in)
}

// run runs a program, with whatever it starts, in a group and a folder for temporary files of its own. Nothing of it is left.
func (b bench) run(overlay string, within time.Duration, program string, args ...string) (said string, err error) {
	temp := filepath.Join(b.temp, "t")
	if err := os.Mkdir(temp, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	bury()
	return out.String(), errors.Join(err, os.RemoveAll(temp))
}

// bury ends the processes that a mutant has left, which are this one's children now.
func bury() {
	for {
		files, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is good
		for _, file := range files {
			pids, _ := os.ReadFile(file) // the thread may have ended
			for _, field := range strings.Fields(string(pids)) {
				var pid int
				if _, err := fmt.Sscan(field, &pid); err == nil {
					_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
				}
			}
		}
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) { // there is nobody left
			return
		}
	}
}
