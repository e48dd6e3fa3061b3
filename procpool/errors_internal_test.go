package procpool

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// What a worker says of itself goes into errors, which go to terminals and logs.
func TestErrorsHoldNothingThatATerminalObeys(t *testing.T) {
	const evil = "panic: \x1b]0;owned\x07\x1b[2J\u009b1m\rall is\twell\u202e\u2028\xff"
	e := &WorkerCrashError{PID: 1, ExitCode: 2, Stderr: "before\n" + evil + "\n"}
	assert.Equal(t, "procpool: worker 1 exited with code 2 while it ran no call\nlast words: panic: ?]0;owned??[2J?1m all is well? ??", e.Error()+"?")
	assert.Equal(t, "procpool: start worker w: why: panic: ?]0;owned??[2J?1m all is well? ??", (&StartError{Command: "w", Reason: "why", Err: errors.New(evil)}).Error()+"?")
}

// However much is known.
func TestTheMessageOfACrashFitsTwoLines(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	e := &WorkerCrashError{PID: 1, ExitCode: -1, Signal: syscall.SIGSEGV, OOM: OOMKilled, Func: "Sum", Attempt: 2, Stderr: "one\ntwo\n" + long, Goroutines: "goroutine 1:\n", Cause: errors.New("why"), broke: true}
	first, second, _ := strings.Cut(e.Error(), "\n")
	assert.Equal(t, "procpool: worker 1 was ended by signal 11 (segmentation fault) while it ran Sum (attempt 2), out of memory: why; the pool is broken", first)
	assert.Equal(t, "last words: "+long[:200]+"...", second)
}

func TestWhatAWorkerSaysOfItselfDoesNotFillAnError(t *testing.T) {
	long := strings.Repeat("\x1b", 10_000)
	refuse := refusals(ipc.HelloParam{Build: long, Functions: []ipc.Function{{Name: long}, {Name: "Sum", In: long}}})
	for _, name := range []string{"Sum", "Mean"} {
		err := refuse(&task{fn: &function{name: name, in: "int"}})
		require.ErrorContains(t, err, strings.Repeat("?", mostSaid)+"...")
		assert.Less(t, len(err.Error()), 3*mostSaid)
		assert.NotContains(t, err.Error(), "\x1b")
	}
}

func TestTheErrorOfAWorkerThatIsStillThereSaysSo(t *testing.T) {
	why := errors.New("why")
	alone, both := ending{pid: 1, undead: true}.crash(nil, nil, false), ending{pid: 1, undead: true}.crash(nil, why, false)
	assert.ErrorIs(t, alone, errUndead)
	assert.ErrorIs(t, both, errUndead)
	assert.ErrorIs(t, both, why)
	assert.Contains(t, alone.Error(), "worker 1 is still there")
}
