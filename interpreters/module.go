package interpreters

import (
	"context"
	"errors"
	"fmt"
)

// ExecModule runs a program that is a command for WASI, whatever language it was written in, from its start to its end: in a sandbox of its own
// with what config grants, in the calling goroutine. The image may be any that [Load] has taken. args begin with the program's name;
// without any it is "guest".
//
// The error is nil if the program has returned or has exited with status 0, and otherwise a *[Died]: an Exit with the status, or what else
// has ended it. When ctx is done the program is stopped at once, whatever Config.Grace says, for it cannot know. It is no interpreter that anybody could
// look up or send calls to.
func ExecModule(ctx context.Context, image *Image, config Config, args ...string) error {
	if err := image.retain(); err != nil {
		return err
	}
	defer image.release()
	if image.module.ExportedFunctions()["_start"] == nil {
		return fmt.Errorf("%w: not a command: it exports no _start", ErrImage)
	}
	config, err := config.complete(image.key.config.MaxMemory)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(args) == 0 {
		args = []string{"guest"}
	}
	ip := newInterpreter()
	defer ip.forget()
	in, err := newInstance(ctx, ip, image.code, config, args)
	if err != nil {
		return err
	}
	defer in.close()
	err = in.start()
	switch {
	case errors.Is(err, errReturned):
		return nil
	case err == nil:
		return fmt.Errorf("%w: it is a guest: it waits for calls", ErrImage)
	}
	if died := autopsy(in.id, err, in.stopped, in.stderr.String()); died.Reason != Exit || died.ExitCode != 0 {
		return died
	}
	return nil
}
