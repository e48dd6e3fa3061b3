//go:build unix

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runMain makes this test binary the program itself, which is then its own worker as well.
const runMain = "BATCH_TEST_RUNS_MAIN"

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

func TestResultsAndErrorsComeInOrder(t *testing.T) {
	cmd := program("112272535095293", "360", "twelve", "1", "97", "18446744073709551616")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Run(), &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Equal(t, `112272535095293 = 112272535095293
360 = 2 × 2 × 2 × 3 × 3 × 5
twelve: batch.Factor: strconv.ParseUint: parsing "twelve": invalid syntax
1: batch.Factor: 1 has no prime factors
97 = 97
18446744073709551616: batch.Factor: strconv.ParseUint: parsing "18446744073709551616": value out of range
`, stdout.String())
	assert.Equal(t, "batch: 3 of 6 numbers were not factored\n", stderr.String(), "and no bar without a terminal")
}

func TestNumbersFromStandardInput(t *testing.T) {
	cmd := program()
	cmd.Stdin = strings.NewReader(strings.Repeat("30\n", 500))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("30 = 2 × 3 × 5\n", 500), string(out))
}

func TestInterruptReachesTheRunningCall(t *testing.T) {
	const hard = "18446744073709551557" // the largest prime that fits takes billions of divisions
	cmd := program("6", hard, "35")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "6 = 2 × 3\n", line, "a result is there before the next one is")

	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Equal(t, "batch: interrupted: 2 of 3 numbers were not factored\n", stderr.String())
}
