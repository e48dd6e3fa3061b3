// Command spin does the work of tasks.Spin so many times, without a pool: an ideal worker. It says when it is ready, and begins when
// its standard input ends.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: spin TURNS CALLS")
	}
	turns, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fail(err)
	}
	calls, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fail(err)
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fail(err)
	}
	x := uint64(1)
	for range calls {
		x = tasks.Turn(x, turns)
	}
	fmt.Println("done", x) // x is printed so that the work is not left out
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, "spin:", why)
	os.Exit(1)
}
