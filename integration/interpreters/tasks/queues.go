package tasks

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func init() {
	All = append(All, Put, Get, GetLate, Relay, SameQueue, QueueInfo, Crowd, BoundQueue, Forge, PutUnbound, GetAny)
}

// A Putting puts Values into Q.
type Putting struct {
	Q      *worker.Queue
	Values []any
	NoWait bool
}

var Put = futures.NewFunc("tasks.Put", func(ctx context.Context, p Putting) (n int, err error) {
	for _, v := range p.Values {
		if p.NoWait {
			err = p.Q.PutNoWait(v)
		} else {
			err = p.Q.Put(ctx, v)
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
})

var PutUnbound = futures.NewFunc("tasks.PutUnbound", func(ctx context.Context, p Putting) (struct{}, error) {
	return struct{}{}, errors.Join(
		p.Q.Put(ctx, "queue's own"),
		p.Q.Put(ctx, "unbound", worker.UnboundItems(worker.Unbound)),
		p.Q.Put(ctx, "error", worker.UnboundItems(worker.UnboundError)),
		p.Q.Put(ctx, "remove", worker.UnboundItems(worker.UnboundRemove)),
	)
})

// A Getting gets N values out of Q.
type Getting struct {
	Q      *worker.Queue
	N      int
	NoWait bool
}

var Get = futures.NewFunc("tasks.Get", func(ctx context.Context, g Getting) (got []int, err error) {
	for range g.N {
		var v int
		if g.NoWait {
			err = g.Q.GetNoWait(&v)
		} else {
			err = g.Q.Get(ctx, &v)
		}
		if err != nil {
			return got, err
		}
		got = append(got, v)
	}
	return got, nil
})

// GetAny says what it got.
var GetAny = futures.NewFunc("tasks.GetAny", func(ctx context.Context, q *worker.Queue) (string, error) {
	var v any
	if err := q.Get(ctx, &v); err != nil {
		return "", err
	}
	if v == worker.Unbound {
		return "UNBOUND", nil
	}
	return v.(string), nil
})

// GetLate gets a value and counts how often another goroutine runs meanwhile.
var GetLate = futures.NewFunc("tasks.GetLate", func(ctx context.Context, q *worker.Queue) (ran int, err error) {
	over := make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
				ran++
			}
		}
	})
	var v int
	err = q.Get(ctx, &v)
	close(over)
	other.Wait()
	return ran, err
})

// A Relaying hands N items from one queue to another.
type Relaying struct {
	From, To *worker.Queue
	N        int
}

var Relay = futures.NewFunc("tasks.Relay", func(ctx context.Context, r Relaying) (struct{}, error) {
	for range r.N {
		var v int
		if err := r.From.Get(ctx, &v); err != nil {
			return struct{}{}, err
		}
		if err := r.To.Put(ctx, v+1); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, nil
})

// SameQueue puts a queue through itself and reports whether it is still itself, and returns it.
var SameQueue = futures.NewFunc("tasks.SameQueue", func(ctx context.Context, q *worker.Queue) (*worker.Queue, error) {
	var typed *worker.Queue
	var untyped any
	err := errors.Join(q.Put(ctx, q), q.Get(ctx, &typed), q.Put(ctx, []any{q}), q.Get(ctx, &untyped))
	if err == nil && (typed != q || untyped.([]any)[0] != q) {
		err = errors.New("another queue")
	}
	return q, err
})

// A State is what a queue says of itself.
type State struct {
	ID            int64
	Size, MaxSize int
	Empty, Full   bool
	Text          string
}

var QueueInfo = futures.NewFunc("tasks.QueueInfo", func(_ context.Context, q *worker.Queue) (State, error) {
	return State{q.ID(), q.QSize(), q.MaxSize(), q.Empty(), q.Full(), q.String()}, nil
})

// Crowd has N goroutines get one value each, and sums up.
var Crowd = futures.NewFunc("tasks.Crowd", func(ctx context.Context, g Getting) (sum int, _ error) {
	got := make(chan int)
	for range g.N {
		go func() {
			var v int
			if g.Q.Get(ctx, &v) != nil {
				v = -1 << 20
			}
			got <- v
		}()
	}
	for range g.N {
		sum += <-got
	}
	return sum, nil
})

// BoundQueue puts into the queue that a name is bound to.
var BoundQueue = futures.NewFunc("tasks.BoundQueue", func(ctx context.Context, name string) (int64, error) {
	q, err := worker.Var[*worker.Queue](name)
	if err != nil {
		return 0, err
	}
	return q.ID(), q.Put(ctx, name)
})

// A made-up queue.
type madeUp int64

func (m madeUp) ID() int64 { return int64(m) }

// Forge uses a queue that it was not given.
var Forge = futures.NewFunc("tasks.Forge", func(_ context.Context, id int64) (*worker.Queue, error) {
	q := worker.QueueOf(madeUp(id))
	if err := q.PutNoWait(1); err == nil {
		return nil, errors.New("it could")
	}
	return q, nil
})

// PutAndExit leaves something behind.
var PutAndExit = futures.NewFunc("tasks.PutAndExit", func(ctx context.Context, q *worker.Queue) (struct{}, error) {
	if err := q.Put(ctx, 1); err != nil {
		return struct{}{}, err
	}
	os.Exit(1)
	panic("never")
})

// PutAndSpin says that it runs, and computes for ever.
var PutAndSpin = futures.NewFunc("tasks.PutAndSpin", func(ctx context.Context, q *worker.Queue) (int, error) {
	if err := q.Put(ctx, 1); err != nil {
		return 0, err
	}
	return Spin.Call(ctx, struct{}{})
})

func init() { All = append(All, PutAndExit, PutAndSpin) }
