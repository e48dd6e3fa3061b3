package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
)

//go:embed peers/cpython.py
var cpythonScript string

// CPython is the interpreter that runs peers/cpython.py.
type CPython struct {
	path    string
	version string
}

// A cpythonFigure is what the script prints; what was not measured is zero.
type cpythonFigure struct {
	Version       string
	Rate          float64 // per second
	P50, P90, P99 float64 // seconds
}

// findCPython returns nil where there is no python3.
func findCPython(ctx context.Context) *CPython {
	path, err := exec.LookPath("python3")
	if err != nil {
		return nil
	}
	py := &CPython{path: path}
	figure, err := py.measure(ctx, "version")
	if err != nil {
		return nil
	}
	py.version = figure.Version
	return py
}

// measure runs the script in a fresh interpreter. It and its children end with ctx at the latest.
func (py *CPython) measure(ctx context.Context, what string, args ...int) (cpythonFigure, error) {
	argv := []string{"-c", cpythonScript, what}
	for _, arg := range args {
		argv = append(argv, strconv.Itoa(arg))
	}
	cmd := exec.CommandContext(ctx, py.path, argv...)
	endAsGroup(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return cpythonFigure{}, fmt.Errorf("%s: cpython.py %s: %w\n%s", py.path, what, err, stderr.Bytes())
	}
	var figure cpythonFigure
	if err := json.Unmarshal(out, &figure); err != nil {
		return cpythonFigure{}, fmt.Errorf("%s: cpython.py %s printed %q: %w", py.path, what, out, err)
	}
	return figure, nil
}
