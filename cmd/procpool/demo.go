package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/seed7d1be1d5/concurrent/cmd/worker/tasks"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:        "demo",
		Usage:       "format, hash and compress the .go files of a tree, and compare with doing it serially",
		UsageText:   "procpool demo -worker bin/worker [options]",
		Description: strings.TrimSpace(demoHelp),
		Flags: append([]cli.Flag{
			workerFlag(),
			&cli.StringFlag{Name: "root", Usage: "the `DIR` whose .go files are taken; empty means $(go env GOROOT)/src"},
			&cli.IntFlag{Name: "files", Usage: "take `N` files, spread evenly over the tree; 0 means all"},
			&cli.StringFlag{Name: "out", Usage: "write the results to `FILE`", Value: "out/gofmt.jsonl"},
			&cli.DurationFlag{Name: "serial", Usage: "let the serial run take `D` at most; 0 leaves it out", Value: 45 * time.Second},
		}, poolFlags()...),
		Action: demo,
	}
}

func demo(ctx context.Context, c *cli.Command) error {
	s, err := settingsOf(c)
	if err != nil {
		return err
	}
	if c.Int("files") < 0 || c.Duration("serial") < 0 {
		return fail(exitUsage, "-files and -serial must not be negative")
	}
	d, err := describe(ctx, s.config.Worker, s.config.Stderr)
	if err == nil {
		err = find(d, s.config.Worker, tasks.Gofmt.Name())
	}
	if err != nil {
		return err
	}
	files, err := goFiles(c.String("root"), c.Int("files"))
	if err != nil {
		return fail(exitIO, "list the files: %v", err)
	}
	input, err := files.argumentLines()
	if err != nil {
		return fail(exitIO, "read the files: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(c.String("out")), 0o755); err != nil {
		return fail(exitIO, "-out: %v", err)
	}
	out, err := os.Create(c.String("out"))
	if err != nil {
		return fail(exitIO, "-out: %v", err)
	}
	j := job{settings: s, function: tasks.Gofmt.Name(), input: input, output: out, total: int64(len(files.paths))}
	tally, cost, err := j.run()
	if closeErr := out.Close(); err == nil && closeErr != nil && tally.writeErr == nil {
		tally.writeErr = closeErr
	}
	if err != nil {
		return err
	}
	var t table
	t.add("output", "%s", c.String("out"))
	t.addItems("files", tally)
	t.add("bytes", "%s (%s/s)", megabytes(files.bytes), megabytes(int64(float64(files.bytes)/cost.wall.Seconds())))
	t.addTimes(cost, tally.items)
	end := verdict(tally)
	if exitCode(end) == exitFailed {
		end = nil // files that do not parse belong to the tree
	}
	if end == nil && c.Duration("serial") > 0 {
		t.addSerial(ctx, files, c.Duration("serial"), cost.wall, s.progress)
	}
	t.writeTo(os.Stderr)
	return end
}

// goTree is the files that the demo works on.
type goTree struct {
	paths []string
	bytes int64
	sizes []int64
}

// goFiles finds the .go files under root, in the order of their names, and takes n of them if n is not zero.
func goFiles(root string, n int) (*goTree, error) {
	if root == "" {
		goroot, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return nil, fmt.Errorf("go env GOROOT: %w: give -root", err)
		}
		root = filepath.Join(strings.TrimSpace(string(goroot)), "src")
	}
	root, err := filepath.Abs(root) // the worker may have another directory
	if err != nil {
		return nil, err
	}
	t := &goTree{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && filepath.Ext(path) == ".go" {
			t.paths = append(t.paths, path)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(t.paths) == 0 {
		return nil, fmt.Errorf("there is no .go file under %s", root)
	}
	if n > 0 && n < len(t.paths) {
		all := t.paths
		t.paths = make([]string, n)
		for i := range t.paths {
			t.paths[i] = all[i*len(all)/n]
		}
	}
	return t, nil
}

// argumentLines makes the input of the batch. It reads every file once, so that neither run pays for a cold disk.
func (t *goTree) argumentLines() (io.Reader, error) {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, path := range t.paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		t.sizes = append(t.sizes, int64(len(content)))
		t.bytes += int64(len(content))
		if err := enc.Encode(path); err != nil {
			return nil, err
		}
	}
	return &lines, nil
}

// addSerial does the work of the batch again in this process, one file after the other, for as long as limit, and adds
// how that compares with what the batch took.
func (t *table) addSerial(ctx context.Context, files *goTree, limit, batch time.Duration, showProgress bool) {
	var bar *progress
	if showProgress {
		bar = startProgress(os.Stderr, "the same serially", int64(len(files.paths)))
	}
	defer bar.end()
	var did int64
	count := 0
	start, cpu := time.Now(), ownCPU()
	for _, i := range spread(len(files.paths)) {
		if time.Since(start) > limit {
			break
		}
		if _, err := tasks.Gofmt.Call(ctx, files.paths[i]); err != nil {
			bar.failed()
		} else {
			bar.done()
		}
		did += files.sizes[i]
		count++
	}
	took := time.Since(start)
	cpu = ownCPU() - cpu
	if count == len(files.paths) {
		t.add("serially", "%s in one process (%s of CPU time), the same %s files", seconds(took), seconds(cpu), grouped(count))
	} else {
		whole := time.Duration(float64(took) * float64(files.bytes) / float64(did))
		t.add("serially", "%s in one process, estimated: %s files with %.0f%% of the bytes took %s (%s of CPU time)",
			seconds(whole), grouped(count), 100*float64(did)/float64(files.bytes), seconds(took), seconds(cpu))
		took = whole
	}
	t.add("speed-up", "%.2f times", took.Seconds()/batch.Seconds())
}

// spread is the numbers below n in an order of which every beginning is spread evenly over them.
func spread(n int) []int {
	const stride = 16
	order := make([]int, 0, n)
	for first := range stride {
		for i := first; i < n; i += stride {
			order = append(order, i)
		}
	}
	return order
}

const demoHelp = `
The batch tool on real input: for each .go file under the root, a worker parses it, formats it, hashes the result and
compresses it. The results go to a file as procpool map writes them, in the order of the paths. Files that do not
parse are items with an error.

Then the same function does the same work in this process, one file after the other, which gives the speed-up. If that takes
longer than -serial it is cut short, and the table says which part was done and what the whole is estimated at.

The table comes on standard error. Exit codes are those of map, but files that do not parse are no failure.
`
