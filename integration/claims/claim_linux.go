package main

import (
	"bytes"
	"fmt"
	"go/build"
	"os"
	"path/filepath"
	"time"
)

// A test is what must notice: a package of tests, by its folder, and what go test -run takes.
type test struct{ in, run string }

// A claim is something that users are promised.
type claim struct {
	section int
	says    string
	at      string // the folder of the code
	old     string // which is once in it
	new     string // which stands in its place
	test
	how how
}

// how a test fails, if not by what it asserts.
type how string

const (
	hangs   how = "hangs"   // it does not come to its end, and never would
	crashes how = "crashes" // the mutant brings the host down
)

// claims is the whole table.
func claims() (all []claim) {
	for _, s := range sections {
		for _, c := range s.claims {
			c.section = s.number
			all = append(all, c)
		}
	}
	return all
}

// within bounds a run of the test, without the time to build it.
func (c claim) within() time.Duration {
	if c.how == hangs {
		return 15 * time.Second
	}
	return 90 * time.Second
}

// mutant finds the file in which the text of the claim is, and returns what takes its place. root is that of the tree.
func (c claim) mutant(root string) (file string, text []byte, err error) {
	folder, err := build.ImportDir(filepath.Join(root, c.at), 0)
	if err != nil {
		return "", nil, err
	}
	times := 0
	for _, name := range folder.GoFiles {
		path := filepath.Join(folder.Dir, name)
		there, err := os.ReadFile(path)
		if err != nil {
			return "", nil, err
		}
		if n := bytes.Count(there, []byte(c.old)); n > 0 {
			times += n
			file, text = path, bytes.Replace(there, []byte(c.old), []byte(c.new), 1)
		}
	}
	if times != 1 {
		return "", nil, fmt.Errorf("it is %d times in %s, and not once: %s", times, c.at, c.old)
	}
	return file, text, nil
}
