package tasks

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func init() {
	All = append(All, Exit, GoPanic, Eat, Recurse, Depth, Block, Goexit, Spin, SpinPolitely, Sleep, Listen, Churn)
}

var Exit = futures.NewFunc("tasks.Exit", func(_ context.Context, status int) (struct{}, error) {
	os.Exit(status)
	panic("never")
})

// GoPanic panics in another goroutine.
var GoPanic = futures.NewFunc("tasks.GoPanic", func(ctx context.Context, text string) (struct{}, error) {
	go panic(text)
	time.Sleep(time.Minute)
	return struct{}{}, nil
})

var eaten [][]byte

// Eat keeps so many MiB.
var Eat = futures.NewFunc("tasks.Eat", func(_ context.Context, mib int) (int, error) {
	for range mib {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		eaten = append(eaten, b)
	}
	return len(eaten), nil
})

// Churn allocates so many MiB and keeps none.
var Churn = futures.NewFunc("tasks.Churn", func(_ context.Context, mib int) (n int, _ error) {
	for i := range mib {
		b := make([]byte, 1<<20)
		b[i] = 1
		n += int(b[i])
	}
	return n, nil
})

// Recurse never comes back.
var Recurse = futures.NewFunc("tasks.Recurse", func(_ context.Context, n int) (int, error) { return endless(n), nil })

func endless(n int) int {
	if n == 0 { // it begins with 1
		return 0
	}
	var frame [16]int
	frame[n%16] = n
	return endless(n+1) + frame[(n+3)%16]
}

// Depth recurses n deep, and comes back.
var Depth = futures.NewFunc("tasks.Depth", func(_ context.Context, n int) (int, error) { return depth(n), nil })

func depth(n int) int {
	if n == 0 {
		return 0
	}
	return depth(n-1) + 1
}

// Block waits for nothing.
var Block = futures.NewFunc("tasks.Block", func(context.Context, struct{}) (struct{}, error) {
	<-make(chan struct{})
	return struct{}{}, nil
})

var Goexit = futures.NewFunc("tasks.Goexit", func(context.Context, struct{}) (struct{}, error) {
	runtime.Goexit()
	panic("never")
})

// Spin computes for ever and does not listen.
var Spin = futures.NewFunc("tasks.Spin", func(context.Context, struct{}) (int, error) {
	for i := 0; ; i++ {
		if i < 0 {
			return i, nil
		}
	}
})

// SpinPolitely computes until it is told not to.
var SpinPolitely = futures.NewFunc("tasks.SpinPolitely", func(ctx context.Context, _ struct{}) (int, error) {
	for i := 0; ; i++ {
		if i%1000 == 0 {
			if err := worker.Checkpoint(ctx); err != nil {
				return i, err
			}
		}
	}
})

// Sleep does not listen.
var Sleep = futures.NewFunc("tasks.Sleep", func(_ context.Context, d time.Duration) (struct{}, error) {
	time.Sleep(d)
	return struct{}{}, nil
})

// Listen waits for the end of its ctx.
var Listen = futures.NewFunc("tasks.Listen", func(ctx context.Context, _ struct{}) (struct{}, error) {
	<-ctx.Done()
	return struct{}{}, ctx.Err()
})
