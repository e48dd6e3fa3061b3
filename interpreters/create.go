package interpreters

import (
	"context"
	"errors"
	"fmt"
)

// Create makes an interpreter from an image: it runs the guest's package initialisers and its main, up to worker.Main (row N1). It can be called
// from anywhere. ctx bounds that and not the interpreter's life. The interpreter is to be closed.
func Create(ctx context.Context, image *Image, config Config) (*Interpreter, error) {
	if image == nil || image.closed.Load() {
		return nil, fmt.Errorf("%w: nil or closed", ErrImage)
	}
	if err := image.checkGuest(); err != nil {
		return nil, err
	}
	config, err := config.complete(image.key.config.MaxMemory)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	image.retain()
	ip := &Interpreter{id: registry.nextID()}
	in, err := newInstance(ctx, ip, image.code, config, []string{"guest"})
	if err != nil {
		image.release()
		return nil, err
	}
	if err := in.start(); err != nil {
		if !errors.Is(err, ErrImage) {
			died := autopsy(ip.id, err, in.stopped, in.stderr.String())
			if err = died; died.Reason == Exit && died.ExitCode == 0 {
				err = errReturned // which is how Go's main returns
			}
		}
		in.close()
		image.release()
		return nil, err
	}
	ip.instance = in
	registry.add(ip)
	return ip, nil
}
