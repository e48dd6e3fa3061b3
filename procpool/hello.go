package procpool

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/internal/harmless"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// What is said before the first call: the worker's hello, what follows from it, and the initializer.

func readHello(frames *ipc.Reader) (hello ipc.HelloParam, err error) {
	body, err := frames.Next()
	if err != nil {
		return hello, fmt.Errorf("read hello: %w", err)
	}
	m, err := ipc.ParseMessage(body)
	if err != nil {
		return hello, fmt.Errorf("read hello: %w", err)
	}
	if m.Kind != ipc.KindNotification || string(m.Name) != ipc.Hello {
		return hello, fmt.Errorf("read hello: %w: the worker's first message is another", ipc.ErrProtocol)
	}
	if err := ipc.DecodeParam(m.Value, &hello); err != nil {
		return hello, fmt.Errorf("read hello: %w", err)
	}
	if hello.Protocol != ipc.Version {
		return hello, fmt.Errorf("%w: the worker (%s) speaks version %d, this host version %d: build both from the same release",
			ipc.ErrProtocol, harmless.Line(hello.Build, mostSaid), hello.Protocol, ipc.Version)
	}
	return hello, nil
}

// refusals says of a call why this worker cannot run it.
func refusals(hello ipc.HelloParam) func(*task) error {
	offers := make(map[string]ipc.Function, len(hello.Functions))
	names := make([]string, 0, len(hello.Functions))
	for _, f := range hello.Functions {
		offers[f.Name] = f
		names = append(names, f.Name)
	}
	offered, build := harmless.Line(strings.Join(names, ", "), mostSaid), harmless.Line(hello.Build, mostSaid)
	known := make(map[*function]error) // guarded by the pool's mu, like every call of refuse
	return func(t *task) error {
		err, ok := known[t.fn]
		if !ok {
			if offer, ok := offers[t.fn.name]; ok {
				err = t.fn.compare(offer, build)
			} else {
				err = fmt.Errorf("procpool: %w: the worker (%s) does not offer %q: it offers %s", futures.ErrNoBody, build, t.fn.name, offered)
			}
			known[t.fn] = err
		}
		return err
	}
}

// unchecked is the fingerprint of any. Whatever a worker sends can be decoded into one, so a program that declares a
// function with it wants whatever the worker offers; an argument that does not fit fails its own call.
var unchecked = ipc.Fingerprint(reflect.TypeFor[any]())

// compare refuses a worker's function of other types.
func (f *function) compare(offer ipc.Function, build string) error {
	for _, c := range []struct{ what, here, there string }{{"takes", f.in, offer.In}, {"returns", f.out, offer.Out}} {
		if c.there != "" && c.here != unchecked && c.there != c.here {
			return fmt.Errorf("procpool: %w: %s %s %s in this program and %s in the worker (%s): build both from the same source",
				futures.ErrNotShareable, f.name, c.what, c.here, harmless.Line(c.there, mostSaid), build)
		}
	}
	return nil
}

// initialize runs the initializer in the worker.
func (l *link) initialize(frames *ipc.Reader) error {
	init := l.pool.config.Initializer
	if init.IsZero() {
		return nil
	}
	name := init.Func().Name()
	failed := func(err error) error {
		return &InitializerError{Func: name, PID: l.process.pid(), Err: err}
	}
	if _, err := l.process.requests.Write(ipc.AppendRequest(nil, ipc.InitializerID, name, ipc.Meta{}, l.pool.initArg)); err != nil {
		return failed(fmt.Errorf("the worker was lost: %w", err))
	}
	for {
		body, err := frames.Next()
		if err != nil {
			return failed(fmt.Errorf("the worker was lost: %w", l.limit.explain(err)))
		}
		m, err := ipc.ParseMessage(body)
		if err != nil {
			return failed(err)
		}
		if m.Kind == ipc.KindNotification {
			continue
		}
		if m.Kind != ipc.KindResponse || m.ID != ipc.InitializerID {
			return failed(fmt.Errorf("%w: the worker answered call %d, which it was not sent", ipc.ErrProtocol, m.ID))
		}
		if err := l.limit.check(m.Value); err != nil {
			return failed(err)
		}
		if len(m.Failure) == 0 {
			return nil
		}
		f, err := ipc.DecodeFailure(m.Failure)
		if err != nil {
			return failed(err)
		}
		return failed(f.Err(name))
	}
}
