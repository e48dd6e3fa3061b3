//go:build !unix && !wasip1

package worker

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

type pipes struct {
	requests, responses *os.File
	claims, ring, arena []byte
	dumps               bool
}

// inherit: descriptors are inherited by number, which this system cannot do.
func inherit() (pipes, error) {
	return pipes{}, fmt.Errorf("%w: worker processes on %s", errors.ErrUnsupported, runtime.GOOS)
}
