package worker

import (
	"context"
	"fmt"
	"runtime"

	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

func self() int64 { return hostSelf() }

func checkpoint(ctx context.Context) error {
	switch hostInterrupted() {
	case abi.InterruptNone:
	case abi.InterruptCancelled:
		if c := guest.running; c != nil {
			c.cancel(context.Canceled)
		}
	default:
		runtime.Gosched() // which runs the timers of ctx
	}
	return natively(ctx)
}

func bound(name string) ([]byte, error) {
	if value, ok := guest.vars[name]; ok {
		return value, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNoVar, name)
}
