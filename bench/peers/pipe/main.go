// Command pipe answers each request of so many bytes on descriptor 3 with a response of so many on descriptor 4, and ends
// when its requests do: two pipes and nothing else.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"

	"github.com/seed7d1be1d5/concurrent/bench/pipe"
)

func main() {
	runtime.LockOSThread()
	if err := answer(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "pipe: %v\n", err)
		os.Exit(1)
	}
}

func answer(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: pipe REQUEST-BYTES RESPONSE-BYTES")
	}
	request, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	response, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	in, out := pipe.FromDescriptor(3), pipe.FromDescriptor(4)
	// An echo returns the very bytes it got, as a call with a large argument does.
	b := make([]byte, max(request, response))
	for {
		if err := in.Read(b[:request]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.Write(b[:response]); err != nil {
			return err
		}
	}
}
