package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

const largePayload = 16 << 20

// echo sends payload there and back.
func echo(ctx context.Context, ex futures.Executor, payload []byte) error {
	got, err := futures.Submit(ctx, ex, tasks.Echo, payload).Result(ctx)
	if err == nil && len(got) != len(payload) {
		err = fmt.Errorf("bytes: %d bytes came back, %d were sent", len(got), len(payload))
	}
	return err
}

// measureBytes is about a payload that is large: the bytes of both ways per second.
func measureBytes(ctx context.Context, b *Bench) ([]Row, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: workers})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	payload := make([]byte, largePayload)
	for i := range payload {
		payload[i] = byte(i) // pages of zeros that nobody has touched are all the same page
	}
	subjects := []Subject{bothWays("this project", b.count(20), func() error { return echo(unwatched, pool, payload) })}
	request, response := echoFrames(payload)
	for _, size := range []int{0, 1 << 20} {
		peer, err := startPipePeer(ctx, b.children, request, response, size)
		if size > 0 && errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer peer.close()
		name := "bare pipe"
		if size > 0 {
			name += " of 1 MiB"
		}
		subjects = append(subjects, bothWays(name, b.count(20), peer.exchange))
	}
	s, err := inTurn(ctx, b.rounds, subjects...)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for i, peer := range subjects[1:] {
		rows = append(rows, versus("16 MiB there and back", bytesPerSecond, s[0], peer.name, s[i+1], Goal{must: 2, aim: 5}))
	}
	return rows, nil
}

// bothWays is a subject that sends the payload there and back n times, after once that does not count.
func bothWays(name string, n int, once func() error) Subject {
	return Subject{name, func(context.Context) (float64, error) {
		if err := once(); err != nil {
			return 0, err
		}
		begin := time.Now()
		for range n {
			if err := once(); err != nil {
				return 0, err
			}
		}
		return rate(2*n*largePayload, begin), nil
	}}
}
