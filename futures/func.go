package futures

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
)

// A Func is a function with a name: what can be submitted to any [Executor]. The name is how a worker in another process
// finds the body, so it is unique in a worker and the same on both sides. Copies are the same Func.
type Func[In, Out any] struct{ def *definition[In, Out] }

// definition is what all copies of a Func share.
type definition[In, Out any] struct {
	name string
	body func(context.Context, In) (Out, error)
}

// NewFunc makes a Func. It is meant for package variables, and so panics on an empty name or a nil body.
//
// The body's ctx is done when the ctx given to [Submit] is, or when the call has run for its [Timeout].
func NewFunc[In, Out any](name string, body func(context.Context, In) (Out, error)) Func[In, Out] {
	if name == "" {
		panic("futures.NewFunc: name is empty")
	}
	if body == nil {
		panic("futures.NewFunc: body of " + name + " is nil")
	}
	return Func[In, Out]{&definition[In, Out]{name, body}}
}

// Declare makes a Func whose body lives only in the worker: a plugin's, or one in another language. It panics on an
// empty name.
//
// An In or Out of any means that the caller does not know the type: it is not compared with the worker's. The argument is
// then what it is at run time, and fails its own call if the body cannot take it; the result is nil, a bool, a string, a
// []byte, a time.Time, a number of the size it was encoded in, a []any, a map[string]any, or a map[any]any if some key is
// no string.
func Declare[In, Out any](name string) Func[In, Out] {
	if name == "" {
		panic("futures.Declare: name is empty")
	}
	return Func[In, Out]{&definition[In, Out]{name: name}}
}

// Name is the name given to [NewFunc] or [Declare].
func (f Func[In, Out]) Name() string {
	if f.def == nil {
		return "" // the zero Func
	}
	return f.def.name
}

// Call runs the body here and now, in this goroutine; a panic is not contained. A declared Func gives [ErrNoBody].
func (f Func[In, Out]) Call(ctx context.Context, in In) (Out, error) {
	if !f.HasBody() {
		var zero Out
		return zero, fmt.Errorf("%w: %q is only declared in this process", ErrNoBody, f.Name())
	}
	return f.def.body(ctx, in)
}

// A Callable is any Func, whatever its types. The methods past Name are for implementers of executors and workers.
type Callable interface {
	Name() string

	// Types are the types of the argument and of the result.
	Types() (in, out reflect.Type)

	// HasBody is false for a Func that is only declared in this process.
	HasBody() bool

	// NewInvocation makes room for one call: an argument, a run, a result.
	NewInvocation() Invocation

	sealed()
}

// An Invocation is one run of a Func on behalf of somebody else. It is used by one goroutine, once, or again after Reset.
type Invocation interface {
	Arg() any                      // a *In, to be filled in before Run
	Run(ctx context.Context) error // runs the body; its error or panic comes back as a *TaskError
	Result() any                   // a *Out, set by Run
	Reset()                        // forgets argument and result
}

// Types gives the types of In and Out.
func (f Func[In, Out]) Types() (in, out reflect.Type) {
	return reflect.TypeFor[In](), reflect.TypeFor[Out]()
}

// HasBody is false for a Func made by [Declare].
func (f Func[In, Out]) HasBody() bool { return f.def != nil && f.def.body != nil }

// NewInvocation makes room for one call.
func (f Func[In, Out]) NewInvocation() Invocation { return &invocation[In, Out]{fn: f} }

func (Func[In, Out]) sealed() {}

type invocation[In, Out any] struct {
	fn  Func[In, Out]
	in  In
	out Out
}

func (i *invocation[In, Out]) Arg() any    { return &i.in }
func (i *invocation[In, Out]) Result() any { return &i.out }
func (i *invocation[In, Out]) Reset()      { *i = invocation[In, Out]{fn: i.fn} }
func (i *invocation[In, Out]) Run(ctx context.Context) error {
	return i.fn.run(ctx, i.in, &i.out)
}

// run calls the body and turns its failure or panic into a *TaskError. It does not return if the body leaves by
// runtime.Goexit.
func (f Func[In, Out]) run(ctx context.Context, in In, out *Out) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = taskPanicked(f.Name(), r, debug.Stack())
		}
	}()
	*out, err = f.Call(ctx, in)
	if err != nil {
		return taskFailed(ctx, f.Name(), err)
	}
	return nil
}

// A Bound is a call that waits to be made: an initializer.
type Bound struct {
	fn  Callable
	arg any // a *In
	run func(context.Context) error
}

// Bind ties a Func to its argument.
func Bind[In, Out any](fn Func[In, Out], in In) Bound {
	return Bound{fn: fn, arg: &in, run: func(ctx context.Context) error {
		var out Out
		return fn.run(ctx, in, &out)
	}}
}

// IsZero reports whether b binds nothing.
func (b Bound) IsZero() bool { return b.fn == nil }

// Func is the Func that was bound; nil for the zero Bound.
func (b Bound) Func() Callable { return b.fn }

// Arg points to the argument: a *In.
func (b Bound) Arg() any { return b.arg }

// Run makes the call in this goroutine and drops the result. An error or a panic comes back as a *[TaskError].
func (b Bound) Run(ctx context.Context) error { return b.run(ctx) }
