//go:build unix

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// program is this command, built once for all tests.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "batch")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "batch")
		if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			panic(string(out))
		}
		return m.Run()
	}())
}

func TestResultsAndErrorsComeInOrder(t *testing.T) {
	cmd := exec.Command(program, "112272535095293", "360", "twelve", "1", "97", "18446744073709551616")
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
	cmd := exec.Command(program)
	cmd.Stdin = strings.NewReader(strings.Repeat("30\n", 3000))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("30 = 2 × 3 × 5\n", 3000), string(out))
}

func TestInterruptReachesTheRunningCall(t *testing.T) {
	const hard = "18446744073709551557" // the largest prime that fits takes billions of divisions
	cmd := exec.Command(program, "6", hard, "35")
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
