package interpreters

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// Call runs fn in the interpreter, in the calling goroutine, and returns a copy of its result (row N17). The guest's main must offer fn. When ctx
// is done, the function's ctx is; if that does not end it within Config.Grace the interpreter dies. The error is one that
//
//   - is an *[ExecutionFailed] if the function failed (row N18), which leaves the interpreter as it is;
//   - is a *[Died] if the interpreter came to its end;
//   - matches [futures.ErrNotShareable] if the argument or the result cannot travel, or the guest's function has other types;
//   - matches [futures.ErrNoBody] if the guest does not offer fn;
//   - matches [ErrRunning] if code runs there already (row N26), or [ErrNotFound] if the interpreter was closed;
//   - is the cause of ctx if that was done before.
func Call[In, Out any](ctx context.Context, ip *Interpreter, fn futures.Func[In, Out], in In) (out Out, err error) {
	err = ip.call(ctx, fn, &in, &out, 0)
	return out, err
}

// call is Call with pointers, and with a timeout of the call itself; zero is none.
func (ip *Interpreter) call(ctx context.Context, fn futures.Callable, arg, result any, timeout time.Duration) error {
	callers, _ := ctx.Deadline()
	overdue := context.DeadlineExceeded
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, futures.ErrTimeout)
		defer cancel()
		if d, _ := ctx.Deadline(); d != callers {
			overdue = futures.ErrTimeout
		}
	}
	return ip.use(ctx, func(in *instance) (fatal, err error) {
		in.run.overdue = overdue
		index, err := in.offer.find(fn)
		if err != nil {
			return nil, err
		}
		size, fatal, err := in.send(func(dst []byte) ([]byte, error) { return in.append(dst, arg) })
		if fatal != nil || err != nil {
			return fatal, err
		}
		in.stack = [5]uint64{uint64(index), uint64(size), uint64(in.run.id), uint64(nanoseconds(callers)), uint64(timeout)}
		if err := in.enter(in.call); err != nil {
			return err, nil
		}
		return in.receive(fn.Name(), result)
	})
}

// receive decodes the guest's answer.
func (in *instance) receive(function string, result any) (fatal, err error) {
	answer, fatal := in.answer()
	if fatal != nil {
		return fatal, nil
	}
	if answer[0] == abi.AnswerValue {
		if err := in.port.check(answer[1:]); err != nil {
			return nil, err
		}
		return nil, ipc.DecodeValue(answer[1:], result)
	}
	var failure ipc.Failure
	err = errLongFailure
	if len(answer)-1 <= ipc.MaxEnvelope {
		err = ipc.DecodeValue(answer[1:], &failure)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the guest's failure: %w", ErrInterpreter, err)
	}
	err = failure.Err(function)
	var task *futures.TaskError
	if errors.As(err, &task) {
		in.explain(task)
		return nil, executionFailed(task)
	}
	return nil, err
}

// errLongFailure is of a failure that no honest guest makes: it would cost the host many times its size.
var errLongFailure = fmt.Errorf("it takes more than %d bytes", ipc.MaxEnvelope)

// explain adds the cause of a done ctx where the function failed because of it: the guest does not know it.
func (in *instance) explain(task *futures.TaskError) {
	reason := in.reason()
	if reason == nil || errors.Is(task, reason) {
		return
	}
	if errors.Is(task, context.Canceled) || errors.Is(task, context.DeadlineExceeded) {
		task.Causes = append(task.Causes, reason)
	}
}

// nanoseconds is a deadline as the guest is told it; zero for none, and for one that is centuries away.
func nanoseconds(deadline time.Time) int64 {
	if deadline.IsZero() || deadline.After(time.Unix(0, math.MaxInt64)) {
		return 0
	}
	return deadline.UnixNano()
}

// find is the place of fn in what the guest offers.
func (o *offer) find(fn futures.Callable) (uint32, error) {
	there, ok := o.byName[fn.Name()]
	if !ok {
		return 0, fmt.Errorf("interpreters: %w: the guest does not offer %q", futures.ErrNoBody, fn.Name())
	}
	in, out := fn.Types()
	for _, c := range [...]struct{ what, here, there string }{{"takes", fingerprint(in), there.In}, {"returns", fingerprint(out), there.Out}} {
		if c.there != "" && c.here != unchecked && c.here != c.there {
			return 0, fmt.Errorf("interpreters: %w: %s %s %s in this program and %s in the guest: build both from the same source",
				futures.ErrNotShareable, fn.Name(), c.what, c.here, c.there)
		}
	}
	return there.index, nil
}

// unchecked is the fingerprint of any: whoever declares a function with it takes what the guest gives.
const unchecked = "any"

// fingerprints holds that of every type that was asked for. A program has only so many types.
var fingerprints sync.Map

func fingerprint(t reflect.Type) string {
	if s, ok := fingerprints.Load(t); ok {
		return s.(string)
	}
	s := ipc.Fingerprint(t)
	fingerprints.Store(t, s)
	return s
}

// A Thread is a call in a goroutine of its own: see [CallInThread].
type Thread struct{ done chan struct{} }

// Join waits for the call to be over.
func (t *Thread) Join() { <-t.done }

// CallInThread is [Call] in a goroutine of its own, for what it does and not for its result, which is dropped (row N21). If it fails, slog.Default
// hears of it.
func CallInThread[In, Out any](ctx context.Context, ip *Interpreter, fn futures.Func[In, Out], in In) *Thread {
	t := &Thread{make(chan struct{})}
	go func() { // ends with the call, which ctx ends; Join waits for it
		defer close(t.done)
		if _, err := Call(ctx, ip, fn, in); err != nil {
			slog.ErrorContext(ctx, "interpreters: a call in a thread failed", "interpreter", ip.ID(), "func", fn.Name(), "err", err)
		}
	}()
	return t
}

// PrepareMain binds names to copies of values in the interpreter: worker.Var finds them, and scripts have them as globals. It is all or
// nothing (row N12): if one value cannot travel the error matches [futures.ErrNotShareable], and no name is bound. At least one name is needed.
func (ip *Interpreter) PrepareMain(ctx context.Context, values map[string]any) error {
	if len(values) == 0 {
		return fmt.Errorf("%w: PrepareMain: nothing to bind", ErrInterpreter)
	}
	return ip.use(ctx, func(in *instance) (fatal, err error) {
		size, fatal, err := in.send(func(dst []byte) ([]byte, error) { return in.appendNamed(dst, values) })
		if fatal != nil || err != nil {
			return fatal, err
		}
		in.stack = [5]uint64{uint64(size)}
		if err := in.enter(in.bind); err != nil {
			return err, nil
		}
		var nothing any
		return in.receive("PrepareMain", &nothing)
	})
}

// appendNamed appends names and values in turn, with the queues in them for the guest to use, unless one cannot travel.
func (in *instance) appendNamed(dst []byte, values map[string]any) (_ []byte, err error) {
	encoded := dst[len(dst):]
	for _, name := range sortedKeys(values) {
		if encoded, err = ipc.AppendValue(encoded, &name); err != nil {
			return nil, err
		}
		value := values[name]
		if encoded, err = ipc.AppendValue(encoded, &value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for rest := encoded; len(rest) > 0; {
		var one []byte
		if one, rest, err = ipc.CutValue(rest); err == nil {
			err = in.port.admit(one)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(dst, encoded...), nil
}

// append appends what v points to, with the queues in it for the guest to use.
func (in *instance) append(dst []byte, v any) ([]byte, error) {
	start := len(dst)
	dst, err := ipc.AppendValue(dst, v)
	if err == nil {
		err = in.port.admit(dst[start:])
	}
	return dst, err
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Exec runs source text in the interpreter's main namespace, in the calling goroutine: Starlark, if the guest's main imports worker/starlark (rows N14,
// N15). What it binds stays bound. An error of the script, also of its syntax, is an *[ExecutionFailed]; without an engine the error
// is [ErrNoEngine]. Otherwise it is as [Call].
func (ip *Interpreter) Exec(ctx context.Context, code string) error {
	return ip.use(ctx, func(in *instance) (fatal, err error) {
		if !in.offer.engine {
			return nil, fmt.Errorf("%w: let its main import _ %q", ErrNoEngine, "github.com/seed7d1be1d5/concurrent/worker/starlark")
		}
		size, fatal, err := in.send(func(dst []byte) ([]byte, error) { return append(dst, code...), nil })
		if fatal != nil || err != nil {
			return fatal, err
		}
		in.stack = [5]uint64{uint64(size), uint64(in.run.id), uint64(nanoseconds(in.run.deadline))}
		if err := in.enter(in.exec); err != nil {
			return err, nil
		}
		var nothing any
		return in.receive("exec", &nothing)
	})
}

// IsShareable reports whether v can travel between interpreters, where it arrives as a copy (rows N22, N23): what a Func may take or return. A
// *[Queue] can, and arrives as itself.
func IsShareable(v any) bool {
	_, err := ipc.AppendValue(nil, &v)
	return err == nil
}
