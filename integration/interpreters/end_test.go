package interpreters_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// endsAs makes this test binary a program that ends with live interpreters; endsWith is the file with their module.
const (
	endsAs   = "INTERPRETERS_TEST_ENDS_AS"
	endsWith = "INTERPRETERS_TEST_ENDS_WITH"
)

// end creates two interpreters, has one of them run, and ends.
func end() error {
	wasm, err := os.ReadFile(os.Getenv(endsWith))
	if err != nil {
		return err
	}
	image, err := interpreters.Load(context.Background(), wasm, interpreters.ImageConfig{CacheDir: cacheDir})
	if err != nil {
		return err
	}
	_, err = interpreters.Create(context.Background(), image, interpreters.Config{})
	if err != nil {
		return err
	}
	runs, err := interpreters.Create(context.Background(), image, interpreters.Config{})
	if err != nil {
		return err
	}
	running := interpreters.CreateQueue(1)
	interpreters.CallInThread(context.Background(), runs, tasks.PutAndSpin, worker.QueueOf(running))
	if _, err := interpreters.GetAs[int](context.Background(), running); err != nil {
		return err
	}
	switch os.Getenv(endsAs) {
	case "exit":
		os.Exit(3)
	case "panic":
		panic("the program's own")
	}
	return nil // returning from main
}

// FinalizationTests.test_gh_109793 (N27)
func TestAProgramMayEndWithLiveInterpreters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "guest.wasm")
	require.NoError(t, os.WriteFile(file, wasm, 0o600))
	for how, status := range map[string]int{"exit": 3, "panic": 2, "return": 0} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.CommandContext(within(t), os.Args[0])
			cmd.Env = append(os.Environ(), endsAs+"="+how, endsWith+"="+file)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				require.NoError(t, err)
			}
			assert.Equal(t, status, cmd.ProcessState.ExitCode(), "%s", out)
			if how == "panic" {
				assert.Contains(t, string(out), "panic: the program's own")
			} else {
				assert.Empty(t, string(out))
			}
		})
	}
}

func endAsProgram() int {
	if err := end(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
