// Package tasks is what the program and its guests share. Half of it means no good.
package tasks

import (
	"context"
	"net"
	"os"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// All is what a guest offers.
var All = []futures.Callable{Eat, Loop, Exit, Recurse, Read, Write, Environ, Dial, Primes, Square}

var hoard [][]byte

// Eat keeps all the memory it can get.
var Eat = futures.NewFunc("tasks.Eat", func(context.Context, struct{}) (struct{}, error) {
	for {
		hoard = append(hoard, make([]byte, 1<<20))
	}
})

// Loop computes for ever, and does not look at its ctx.
var Loop = futures.NewFunc("tasks.Loop", func(context.Context, struct{}) (struct{}, error) {
	for i := 0; ; i++ {
		hoard = hoard[:0]
	}
})

var Exit = futures.NewFunc("tasks.Exit", func(_ context.Context, status int) (struct{}, error) {
	os.Exit(status)
	panic("never")
})

// Recurse calls itself until there is no stack left.
var Recurse = futures.NewFunc("tasks.Recurse", func(_ context.Context, n int) (int, error) { return deeper(n), nil })

func deeper(n int) int {
	if n < 0 {
		return 0 // it never comes that far
	}
	return deeper(n+1) + n
}

var Read = futures.NewFunc("tasks.Read", func(_ context.Context, name string) (string, error) {
	text, err := os.ReadFile(name)
	return string(text), err
})

var Write = futures.NewFunc("tasks.Write", func(_ context.Context, name string) (struct{}, error) {
	return struct{}{}, os.WriteFile(name, []byte("I was here\n"), 0o600)
})

// Environ is the environment, and the host's secrets with it if there were any to see.
var Environ = futures.NewFunc("tasks.Environ", func(context.Context, struct{}) ([]string, error) { return os.Environ(), nil })

var Dial = futures.NewFunc("tasks.Dial", func(ctx context.Context, address string) (struct{}, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		err = conn.Close()
	}
	return struct{}{}, err
})

// Primes counts primes below n by trial division. It looks at its ctx now and then.
var Primes = futures.NewFunc("tasks.Primes", func(ctx context.Context, n int) (count int, _ error) {
	for i := 2; i < n; i++ {
		if err := worker.Checkpoint(ctx); err != nil {
			return count, err
		}
		if prime(i) {
			count++
		}
	}
	return count, nil
})

func prime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}

// A Line is where Square takes numbers from, and where it puts their squares.
type Line struct{ Numbers, Squares *worker.Queue }

// Square puts a zero to say that it is there, works until it gets one, and returns how many numbers there were.
var Square = futures.NewFunc("tasks.Square", func(ctx context.Context, line Line) (count int, _ error) {
	if err := line.Squares.Put(ctx, 0); err != nil {
		return 0, err
	}
	for ; ; count++ {
		var n int
		if err := line.Numbers.Get(ctx, &n); err != nil || n == 0 {
			return count, err
		}
		if err := line.Squares.Put(ctx, n*n); err != nil {
			return count, err
		}
	}
})
