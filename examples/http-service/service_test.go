//go:build unix

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runMain makes this test binary the program itself, which is then its own worker as well.
const runMain = "HTTP_SERVICE_TEST_RUNS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), runMain+"=1")
	return cmd
}

// A running service, and what it says on standard error.
type running struct {
	cmd   *exec.Cmd
	url   string
	lines chan string
}

func start(t *testing.T, flags ...string) *running {
	t.Helper()
	s := &running{cmd: program(flags...), lines: make(chan string, 1000)}
	stderr, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	go func() { // ends with the service
		defer close(s.lines)
		for in := bufio.NewScanner(stderr); in.Scan(); {
			s.lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // an error says that the test has ended it
	})
	line := s.await(t, "listening on")
	s.url = regexp.MustCompile(`http://[\d.:]+`).FindString(line) + "/run"
	return s
}

// await returns the next line that contains text.
func (s *running) await(t *testing.T, text string) string {
	t.Helper()
	var seen []string
	for line := range s.lines {
		if seen = append(seen, line); strings.Contains(line, text) {
			return line
		}
	}
	require.Fail(t, "the service ended without saying "+text, strings.Join(seen, "\n"))
	return ""
}

// end asks the service to end and sees that it does, in order.
func (s *running) end(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	for range s.lines { // to the end: Wait may be called then
	}
	require.NoError(t, s.cmd.Wait())
}

type answer struct {
	status int
	text   string
	err    error
}

// post runs a program. The answer comes on the channel.
func (s *running) post(ctx context.Context, program, query string) <-chan answer {
	answers := make(chan answer, 1)
	go func() { // ends with the answer
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+query, strings.NewReader(program))
		if err != nil {
			answers <- answer{err: err}
			return
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		answers <- answer{response.StatusCode, strings.TrimSpace(string(text)), err}
	}()
	return answers
}

func (s *running) do(t *testing.T, program, query string) answer {
	t.Helper()
	return <-s.post(t.Context(), program, query)
}

const (
	echo    = ",[.,]"
	endless = "+[]"
)

var nested = "+" + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000)

func TestWhatProgramsDo(t *testing.T) {
	s := start(t, "-timeout", "30s")
	for _, c := range []struct {
		name, program string
		status        int
		text          string
	}{
		{"it answers", echo, 200, "hello"},
		{"it is wrong", "[", 422, "a [ is not closed"},
		{"it panics", "<+", 422, "runtime error: index out of range [-1]"},
		{"it writes without end", "+[.]", 422, "the program writes more than 1048576 bytes"},
		{"it overflows the stack", nested, 500, "the program took its worker with it"},
		{"it does so again", nested, 500, "the program took its worker with it"},
		{"it is too long", strings.Repeat("+", maxProgram+1), 413, "http: request body too large"},
		{"it answers after all that", echo, 200, "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, answer{status: c.status, text: c.text}, s.do(t, c.program, "?input=hello"))
		})
	}
	s.end(t)
}

func TestDeadlineWhileItRunsAndWhileItWaits(t *testing.T) {
	s := start(t, "-timeout", "2s", "-workers", "1")
	first := s.post(t.Context(), endless, "")
	s.await(t, "program of 3 bytes")
	var others []<-chan answer
	for range 5 {
		others = append(others, s.post(t.Context(), endless, ""))
	}
	assert.Equal(t, answer{status: 504, text: "the program did not end in time"}, <-first)
	var answers []answer
	for _, other := range others {
		answers = append(answers, <-other)
	}
	assert.Contains(t, answers, answer{status: 503, text: "the program was not started"}, "its time was over before its turn came")
	s.end(t)
}

func TestClientThatGoesAwayFreesItsWorker(t *testing.T) {
	s := start(t, "-timeout", "1h", "-workers", "1")
	ctx, leave := context.WithCancel(t.Context())
	gone := s.post(ctx, endless, "")
	s.await(t, "program of 3 bytes")
	leave()
	assert.ErrorIs(t, (<-gone).err, context.Canceled)
	assert.Equal(t, answer{status: 200, text: "the next one"}, s.do(t, echo, "?input=the+next+one"), "by the only worker there may be")
	s.end(t)
}

func TestOverloadIsRefusedAndTheRestServed(t *testing.T) {
	s := start(t, "-timeout", "1h", "-workers", "1", "-queue", "1")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	s.post(ctx, endless, "")
	s.await(t, "program of 3 bytes")
	waiting := s.post(t.Context(), echo, "?input=patience")
	s.await(t, "accepted program=5")
	assert.Equal(t, answer{status: 503, text: "too many requests are waiting"}, s.do(t, echo, ""))
	leave()
	assert.Equal(t, answer{status: 200, text: "patience"}, <-waiting)
	s.end(t)
}

func TestShutdownAnswersWhatWasAccepted(t *testing.T) {
	s := start(t, "-timeout", "1h", "-workers", "1")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	s.post(ctx, endless, "")
	s.await(t, "program of 3 bytes")
	waiting := s.post(t.Context(), echo, "?input=in+time")
	s.await(t, "accepted program=5")
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.await(t, "shutting down")
	leave() // only now can the other one run
	assert.Equal(t, answer{status: 200, text: "in time"}, <-waiting)
	for range s.lines { // to the end: Wait may be called then
	}
	require.NoError(t, s.cmd.Wait())
}
