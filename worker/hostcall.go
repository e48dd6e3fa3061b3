package worker

import (
	"context"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// CallHost calls a function of the host that Config.HostFuncs of package interpreters grants to this interpreter, and returns a copy of its
// result. fn may be only declared here. The interpreter stands still meanwhile, with all its goroutines; the function's ctx is the host's, not ctx. An
// error is as that of a call in a pool: a [*futures.TaskError] if the function failed. The error matches [futures.ErrNoBody] if it was not granted.
//
// Outside of interpreters the function runs here and now, as by [futures.Func.Call].
func CallHost[In, Out any](ctx context.Context, fn futures.Func[In, Out], in In) (out Out, err error) {
	if !inGuest {
		return fn.Call(ctx, in)
	}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	err = callHost(fn.Name(), &in, &out)
	return out, err
}
