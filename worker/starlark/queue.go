package starlark

import (
	"context"
	"fmt"
	"math"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/seed7d1be1d5/concurrent/worker"
)

// An interrupted wait is one whose ctx, the script's, was done.
type interrupted struct{ cause error }

func (e *interrupted) Error() string { return e.cause.Error() }
func (e *interrupted) Unwrap() error { return e.cause }

// fromQueueing makes a value of what has to do with queues; nil of all else.
func fromQueueing(v any) starlark.Value {
	if q, ok := v.(*worker.Queue); ok {
		return queueValue{q}
	}
	if v == worker.Unbound {
		return unbound{}
	}
	return nil
}

// A queueValue is a queue in a script.
type queueValue struct{ *worker.Queue }

func (q queueValue) Type() string          { return "Queue" }
func (q queueValue) Freeze()               {}
func (q queueValue) Truth() starlark.Bool  { return true }
func (q queueValue) Hash() (uint32, error) { return starlark.MakeInt64(q.ID()).Hash() }

// CompareSameType makes all handles of one queue equal.
func (q queueValue) CompareSameType(op syntax.Token, other starlark.Value, _ int) (bool, error) {
	same := q.ID() == other.(queueValue).ID()
	switch op {
	case syntax.EQL:
		return same, nil
	case syntax.NEQ:
		return !same, nil
	}
	return false, &raised{"TypeError", fmt.Sprintf("'%s' not supported between queues", op)}
}

func (q queueValue) AttrNames() []string {
	return []string{"empty", "full", "get", "get_nowait", "id", "maxsize", "put", "put_nowait", "qsize"}
}

func (q queueValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "id":
		return starlark.MakeInt64(q.ID()), nil
	case "maxsize":
		return starlark.MakeInt(q.MaxSize()), nil
	case "qsize":
		return asks(name, func() starlark.Value { return starlark.MakeInt(q.QSize()) }), nil
	case "empty":
		return asks(name, func() starlark.Value { return starlark.Bool(q.Empty()) }), nil
	case "full":
		return asks(name, func() starlark.Value { return starlark.Bool(q.Full()) }), nil
	case "put", "put_nowait":
		return starlark.NewBuiltin(name, q.put), nil
	case "get", "get_nowait":
		return starlark.NewBuiltin(name, q.get), nil
	}
	return nil, nil // there is no such attribute
}

// asks is a method without arguments.
func asks(name string, answer func() starlark.Value) starlark.Value {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
			return nil, err
		}
		return answer(), nil
	})
}

func (q queueValue) put(thread *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var obj starlark.Value
	wait, err := unpack(b.Name(), "put_nowait", args, kwargs, "obj", &obj)
	if err != nil {
		return nil, err
	}
	v, err := toGo(obj)
	if err != nil {
		return nil, err
	}
	err = wait.do(ctxOf(thread), func() error { return q.PutNoWait(v) }, func(ctx context.Context) error { return q.Put(ctx, v) })
	return starlark.None, err
}

func (q queueValue) get(thread *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	wait, err := unpack(b.Name(), "get_nowait", args, kwargs)
	if err != nil {
		return nil, err
	}
	var v any
	if err := wait.do(ctxOf(thread), func() error { return q.GetNoWait(&v) }, func(ctx context.Context) error { return q.Get(ctx, &v) }); err != nil {
		return nil, err
	}
	return fromGo(v)
}

// waiting is how long a put or a get may wait.
type waiting struct {
	block   bool
	timeout time.Duration // negative means no limit
}

// unpack takes the arguments of name apart, which waits unless it is noWait.
func unpack(name, noWait string, args starlark.Tuple, kwargs []starlark.Tuple, pairs ...any) (waiting, error) {
	w := waiting{block: true, timeout: -1}
	if name == noWait {
		w.block = false
		return w, starlark.UnpackArgs(name, args, kwargs, pairs...)
	}
	var timeout starlark.Value = starlark.None
	if err := starlark.UnpackArgs(name, args, kwargs, append(pairs, "block?", &w.block, "timeout?", &timeout)...); err != nil {
		return w, err
	}
	if timeout == starlark.None || !w.block {
		return w, nil
	}
	seconds, ok := starlark.AsFloat(timeout)
	if !ok || math.IsNaN(seconds) {
		return w, &raised{"TypeError", fmt.Sprintf("%s() got a timeout that is no number: %s", name, timeout.Type())}
	}
	if seconds < 0 {
		return w, &raised{"ValueError", "timeout value must be non-negative"}
	}
	if seconds < math.MaxInt64/float64(time.Second) {
		w.timeout = time.Duration(seconds * float64(time.Second))
	}
	return w, nil
}

func (w waiting) do(ctx context.Context, try func() error, wait func(context.Context) error) error {
	if !w.block {
		return try()
	}
	bounded := ctx
	if w.timeout >= 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	err := wait(bounded)
	if err != nil && ctx.Err() != nil {
		return &interrupted{context.Cause(ctx)}
	}
	return err
}

// unbound is UNBOUND.
type unbound struct{}

func (unbound) String() string        { return "UNBOUND" }
func (unbound) Type() string          { return "Unbound" }
func (unbound) Freeze()               {}
func (unbound) Truth() starlark.Bool  { return true }
func (unbound) Hash() (uint32, error) { return 1, nil }
