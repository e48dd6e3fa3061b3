package pooltest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

// A Ledger is a file in which each start of a call leaves a line. It is there whatever becomes of the process that has written it. Its value is the
// file's name.
type Ledger string

// A Start is a line of a [Ledger].
type Start struct {
	Name string // of the errand, or of the Func
	PID  int    // of the process it started in

	tag string
}

// NewLedger makes a file for a ledger in a folder. Remove it, or the folder.
func NewLedger(dir string) (Ledger, error) {
	f, err := os.CreateTemp(dir, "ledger-")
	if err != nil {
		return "", fmt.Errorf("pooltest: make a ledger: %w", err)
	}
	return Ledger(f.Name()), f.Close()
}

var entries atomic.Int64 // that this process has made

// Enter adds a line for this process and returns its number, from 1: no two starts have the same, in whatever processes they are. It is one append,
// which systems make whole or not at all.
func (l Ledger) Enter(name string) (n int, err error) {
	defer borrowFile()()
	f, err := os.OpenFile(string(l), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, fmt.Errorf("pooltest: enter a start: %w", err)
	}
	tag := fmt.Sprintf("%d.%d", os.Getpid(), entries.Add(1))
	_, err = fmt.Fprintf(f, "%s %q\n", tag, name)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("pooltest: enter a start: %w", err)
	}
	starts, err := l.Read()
	for _, s := range starts {
		if s.Name == name {
			n++
		}
		if s.tag == tag {
			return n, nil
		}
	}
	return 0, errors.Join(err, errors.New("pooltest: enter a start: the line is not there"))
}

// Read returns all starts in their order.
func (l Ledger) Read() (starts []Start, err error) {
	text, err := os.ReadFile(string(l))
	if err != nil {
		return nil, fmt.Errorf("pooltest: read the ledger: %w", err)
	}
	for line := range bytes.Lines(text) {
		tag, name, ok := bytes.Cut(bytes.TrimSuffix(line, []byte{'\n'}), []byte{' '})
		pid, _, _ := bytes.Cut(tag, []byte{'.'})
		s := Start{tag: string(tag)}
		if s.PID, err = strconv.Atoi(string(pid)); err == nil {
			s.Name, err = strconv.Unquote(string(name))
		}
		if err != nil || !ok {
			return nil, fmt.Errorf("pooltest: read the ledger: %q is no line of one", line)
		}
		starts = append(starts, s)
	}
	return starts, nil
}
