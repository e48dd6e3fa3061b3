package procpool

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What a worker says of itself goes into errors, which go to terminals and logs.
func TestErrorsHoldNothingThatATerminalObeys(t *testing.T) {
	const evil = "panic: \x1b]0;owned\x07\x1b[2J\u009b1m\rall is\twell\u202e\u2028\xff"
	e := &WorkerCrashError{PID: 1, ExitCode: 2, Stderr: "before\n" + evil + "\n"}
	assert.Equal(t, "procpool: worker 1 exited with code 2 while it ran no call\nlast words: panic: ?]0;owned??[2J?1m?all is?well????", e.Error()+"?")
	assert.Equal(t, "v1 ?[2J", abbreviate("v1 \x1b[2J"))
	assert.Equal(t, "schön, 日本", abbreviate("schön, 日本"))
}
