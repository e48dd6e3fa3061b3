package workers

import (
	"context"
	"fmt"
	"runtime/pprof"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A Worker makes the calls of one goroutine of a pool, and is used by that alone.
type Worker interface {
	// Start makes the worker ready, or ready again. If it fails the pool is broken: calls that wait and calls submitted later fail, those that
	// run finish. ctx is that of the goroutine, the same each time, and is never done.
	Start(ctx context.Context) error

	// Run makes a call and settles it. It reports whether the worker can make another one as it is; else it is started again before.
	Run(ctx context.Context, c futures.Call) (ready bool)

	// Leave puts away what Start has made. It is the last that is asked of a worker, also of one that was never started.
	Leave()
}

// serve is the life of a worker. Submit starts it, Shutdown lets it end and waits until the last one is gone.
func (p *Pool) serve(number int) {
	labels := pprof.Labels("worker", fmt.Sprintf("%s_%d", p.config.NamePrefix, number))
	ctx := pprof.WithLabels(p.own(context.Background()), labels) // with the labels: pprof.Do gives those of its ctx back when it returns
	pprof.SetGoroutineLabels(ctx)
	w := p.config.NewWorker()
	returned := false
	defer func() {
		w.Leave()
		if !returned { // left by runtime.Goexit: this goroutine is lost, the pool's worker is not
			go p.serve(number)
			return
		}
		p.left()
	}()
	for ready := false; ready || (!p.over() && p.Start(ctx, w) == nil); {
		c := p.next()
		if c == nil {
			break
		}
		ready = p.run(w, c, labels)
	}
	returned = true
}

// Start starts w, with the ctx of its goroutine. If that fails the pool is broken, and the error is the one that calls are refused with.
func (p *Pool) Start(ctx context.Context, w Worker) (broken error) {
	err := error(futures.GoexitError(p.config.Starts))
	defer func() {
		if err != nil {
			broken = fmt.Errorf("%w: %s, the pool is not usable any more: %w", p.config.Broken, p.config.Failure, err)
			p.refuse(broken, reject)
			p.config.Logger.Error(fmt.Sprintf("%s: %s: the pool is broken", p.config.Package, p.config.Failure), "err", err)
		}
	}()
	err = w.Start(ctx)
	return nil
}

func (p *Pool) run(w Worker, c futures.Call, labels pprof.LabelSet) (ready bool) {
	returned := false
	defer func() {
		if !returned {
			c.Reject(futures.GoexitError(c.Func().Name()))
		}
	}()
	ready = w.Run(pprof.WithLabels(p.own(c.Context()), labels), c)
	returned = true
	return ready
}
