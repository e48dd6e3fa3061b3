package interpreters

import (
	"context"
	"errors"
)

// Create makes an interpreter from an image: it runs the guest's package initialisers and its main, up to worker.Main (row N1). It can be called
// from anywhere. ctx bounds that and not the interpreter's life. The interpreter is to be closed.
func Create(ctx context.Context, image *Image, config Config) (*Interpreter, error) {
	if err := image.retain(); err != nil {
		return nil, err
	}
	ip, err := image.create(ctx, config)
	if err != nil {
		image.release()
		return nil, err
	}
	return ip, nil
}

// create is Create of an image that was retained, for the interpreter if there is one.
func (i *Image) create(ctx context.Context, config Config) (*Interpreter, error) {
	if err := i.checkGuest(); err != nil {
		return nil, err
	}
	config, err := config.complete(i.key.config.MaxMemory)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ip := newInterpreter()
	in, err := newInstance(ctx, ip, i.code, config, []string{"guest"})
	if err != nil {
		ip.forget()
		return nil, err
	}
	if err := in.start(); err != nil {
		if !errors.Is(err, ErrImage) {
			died := autopsy(ip.id, err, in.stopped, in.stderr.String())
			if err = died; died.Reason == Exit && died.ExitCode == 0 {
				err = errReturned // which is how Go's main returns
			}
		}
		ip.forget()
		in.close()
		return nil, err
	}
	if killed := ip.serves(in); killed != nil {
		ip.forget()
		in.close()
		return nil, autopsy(ip.id, errKilled, killed, in.stderr.String())
	}
	return ip, nil
}
