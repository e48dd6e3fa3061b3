package procpool

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A Description is what a worker says of itself when it starts, as it says it: who shows that of a worker that is not trusted makes it harmless before.
type Description struct {
	Build     string         // which program it is and what it was built from, for a human
	Features  []string       // what it can do beyond taking one call at a time
	Functions []ipc.Function // what it offers, in its own order
}

// Describe starts one worker as config says, asks what it offers, and lets it go. The initializer is not run.
//
// ctx bounds the start, like Config.StartTimeout. No process is left when Describe returns. The error is a *[StartError], the
// cause of ctx, or what is wrong with config.
func Describe(ctx context.Context, config Config) (Description, error) {
	config.Initializer = futures.Bound{}
	pool, err := New(config)
	if err != nil {
		return Description{}, err
	}
	if ctx.Err() != nil {
		return Description{}, fmt.Errorf("procpool: Describe: %w", context.Cause(ctx))
	}
	l := newLink(pool, 0)
	unwatch := context.AfterFunc(ctx, func() { l.signal(syscall.SIGKILL) })
	began := time.Now()
	peer, err := l.start()
	interrupted := !unwatch()
	if err == nil {
		_ = l.process.requests.Close() // the worker takes it as its leave
	}
	l.late = err != nil && time.Since(began) >= pool.config.StartTimeout
	end := l.end(!l.late) // a program that is no worker is given the time to end by itself, so that the error says that it did
	defer l.release()
	switch {
	case err == nil:
		return Description{peer.hello.Build, peer.hello.Features, peer.hello.Functions}, nil
	case interrupted:
		return Description{}, fmt.Errorf("procpool: Describe: %w", context.Cause(ctx))
	default:
		return Description{}, l.startError(err, end)
	}
}
