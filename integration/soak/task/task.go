// Package task is what the workers of the soak run.
package task

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/pooltest"
)

// An Order is the argument of [Run].
type Order struct {
	N     int    // which call it is
	Marks string // the file in which each start leaves a mark
	Fault pooltest.Fault
	Load  []byte // goes there and back
}

// Run leaves a mark, has its fault strike, and returns its load.
var Run = futures.NewFunc("soak.Run", func(ctx context.Context, o Order) ([]byte, error) {
	if err := mark(o.Marks, o.N); err != nil {
		return nil, err
	}
	if err := pooltest.Befall(ctx, o.Fault); err != nil {
		return nil, err
	}
	return o.Load, nil
})

// open is the file that this process leaves its marks in.
var open struct {
	sync.Mutex
	name string
	file *os.File
}

func mark(name string, n int) error {
	open.Lock()
	defer open.Unlock()
	if open.name != name {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		open.name, open.file = name, f
	}
	_, err := open.file.Write(binary.BigEndian.AppendUint32(nil, uint32(n))) // one append: a whole mark or none
	return err
}

// Starts reads how often each of so many calls has started.
func Starts(name string, calls int) ([]int, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	starts := make([]int, calls)
	for ; len(b) >= 4; b = b[4:] {
		n := int(binary.BigEndian.Uint32(b))
		if n >= calls {
			return nil, errors.New("a mark of a call that was not made")
		}
		starts[n]++
	}
	return starts, nil
}
