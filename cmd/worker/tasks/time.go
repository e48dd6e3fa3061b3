package tasks

import (
	"context"
	"fmt"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// Sleep waits for so many seconds and gives them back, or fails when its ctx is done.
var Sleep = futures.NewFunc("sleep", func(ctx context.Context, seconds float64) (float64, error) {
	d, err := duration(seconds)
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(d):
		return seconds, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
})

// Spin keeps a CPU busy for so many seconds, and gives the rounds it made.
var Spin = futures.NewFunc("spin", func(ctx context.Context, seconds float64) (int, error) {
	d, err := duration(seconds)
	if err != nil {
		return 0, err
	}
	rounds := 0
	for end := time.Now().Add(d); time.Now().Before(end); rounds++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	return rounds, nil
})

// Hang never returns and does not listen to its ctx: only the end of its worker ends it.
var Hang = futures.NewFunc("hang", func(context.Context, struct{}) (struct{}, error) {
	for {
		time.Sleep(time.Hour) // not an empty select: the runtime would call it a deadlock
	}
})

func duration(seconds float64) (time.Duration, error) {
	if !(seconds >= 0 && seconds <= 1e9) {
		return 0, fmt.Errorf("%v seconds is not between 0 and 1e9", seconds)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
