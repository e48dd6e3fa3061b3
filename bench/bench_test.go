package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// children are built once, before the first benchmark.
var children Children

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if children, err = buildChildren(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer children.remove()
		return m.Run()
	}())
}

// pool starts a pool whose workers are all running.
func pool(b *testing.B, workers int) *procpool.ProcessPoolExecutor {
	p, err := startPool(context.Background(), children, procpool.Config{MaxWorkers: workers})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Close(); err != nil {
			b.Error(err)
		}
	})
	return p
}

func pipeWith(b *testing.B, request, response []byte, size int) *pipePeer {
	p, err := startPipePeer(context.Background(), children, request, response, size)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.close(); err != nil {
			b.Error(err)
		}
	})
	runtime.LockOSThread()
	b.Cleanup(runtime.UnlockOSThread)
	return p
}

func BenchmarkCall(b *testing.B) {
	p := pool(b, 2)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := futures.Submit(ctx, p, tasks.Noop, 1).Result(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCallBarePipe(b *testing.B) {
	request, response := noopFrames()
	p := pipeWith(b, request, response, 0)
	for b.Loop() {
		if err := p.exchange(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubmit(b *testing.B) {
	p := pool(b, 2)
	ctx := context.Background()
	calls := make([]*futures.Future[int], b.N)
	b.ReportAllocs()
	b.ResetTimer()
	if err := submitAll(ctx, p, calls); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkMap(b *testing.B) {
	p := pool(b, 2)
	b.ReportAllocs()
	b.ResetTimer()
	if err := mapAll(context.Background(), p, b.N); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
}

func BenchmarkBytes(b *testing.B) {
	p := pool(b, 2)
	ctx := context.Background()
	payload := make([]byte, largePayload)
	b.SetBytes(2 * largePayload)
	b.ReportAllocs()
	for b.Loop() {
		if err := echo(ctx, p, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBytesBarePipe(b *testing.B) {
	request, response := echoFrames(make([]byte, largePayload))
	for _, size := range []int{0, 1 << 20} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			p := pipeWith(b, request, response, size)
			b.SetBytes(2 * largePayload)
			for b.Loop() {
				if err := p.exchange(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
