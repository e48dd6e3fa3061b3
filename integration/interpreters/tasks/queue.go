package tasks

import (
	"context"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func init() { All = append(All, Forward, LeaveWaiting) }

// A Way is from one queue to another, for so many items.
type Way struct {
	From, To *worker.Queue
	N        int
}

var Forward = futures.NewFunc("tasks.Forward", func(ctx context.Context, way Way) (*worker.Queue, error) {
	for range way.N {
		var item any
		if err := way.From.Get(ctx, &item); err != nil {
			return nil, err
		}
		if err := way.To.Put(ctx, item); err != nil {
			return nil, err
		}
	}
	return way.To, nil
})

// LeaveWaiting leaves a goroutine behind that forwards an item whenever the interpreter runs.
var LeaveWaiting = futures.NewFunc("tasks.LeaveWaiting", func(_ context.Context, way Way) (bool, error) {
	begun := make(chan bool)
	go func() {
		begun <- true
		_, _ = Forward.Call(context.Background(), way) // nobody is there to hear of an error
	}()
	return <-begun, nil
})
