package worker

import (
	"context"
	"fmt"
	"runtime"

	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

const inGuest = true

func callHost(name string, arg, result any) error {
	encoded, err := ipc.AppendValue(nil, arg)
	if err != nil {
		return err
	}
	answer := askHost([]byte(name), encoded)
	if answer[0] == abi.AnswerValue {
		return ipc.DecodeValue(answer[1:], result)
	}
	var failure ipc.Failure
	if err := ipc.DecodeValue(answer[1:], &failure); err != nil {
		return err
	}
	return failure.Err(name)
}

func askHost(name, arg []byte) []byte {
	leaving.Lock()
	defer leaving.Unlock()
	return take(hostCall(address(name), uint32(len(name)), address(arg), uint32(len(arg))))
}

func listen() { hostListen() }

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
