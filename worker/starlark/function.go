package starlark

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// offer names funcs. The name a.b is the attribute b of a, which is a function itself if a Func has that name.
func offer(funcs []futures.Callable) starlark.StringDict {
	names := starlark.StringDict{}
	for _, fn := range funcs {
		in, at := names, ""
		parts := strings.Split(fn.Name(), ".")
		for _, part := range parts {
			at = strings.TrimPrefix(at+"."+part, ".")
			o, ok := in[part].(*offered)
			if !ok {
				o = &offered{name: at, attributes: starlark.StringDict{}}
				in[part] = o
			}
			if at == fn.Name() {
				o.fn = fn
			}
			in = o.attributes
		}
	}
	for name, v := range names {
		names[name] = v.(*offered).value()
	}
	return names
}

// offered is a name, or the beginning of names, of Funcs.
type offered struct {
	name       string
	fn         futures.Callable // nil if it is only a beginning
	attributes starlark.StringDict
}

// value hides what only a function has from what is none.
func (o *offered) value() starlark.Value {
	for name, v := range o.attributes {
		o.attributes[name] = v.(*offered).value()
	}
	if o.fn == nil {
		return o
	}
	return function{o}
}

func (o *offered) String() string       { return fmt.Sprintf("<namespace %s>", o.name) }
func (o *offered) Type() string         { return "namespace" }
func (o *offered) Freeze()              {}
func (o *offered) Truth() starlark.Bool { return true }
func (o *offered) Hash() (uint32, error) {
	return starlark.String(o.name).Hash()
}
func (o *offered) Attr(name string) (starlark.Value, error) { return o.attributes[name], nil }
func (o *offered) AttrNames() []string                      { return o.attributes.Keys() }

// A function is a Func that a script can call.
type function struct{ *offered }

func (f function) Name() string   { return f.name }
func (f function) String() string { return fmt.Sprintf("<built-in function %s>", f.name) }
func (f function) Type() string   { return "builtin_function_or_method" }

func (f function) CallInternal(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	call := f.fn.NewInvocation()
	if err := f.setArg(call.Arg(), args, kwargs); err != nil {
		return nil, err
	}
	if err := call.Run(ctxOf(thread)); err != nil {
		return nil, err
	}
	return fromReflect(reflect.ValueOf(call.Result()).Elem(), 0)
}

// setArg sets what into points to: from the one argument, or its fields from keyword arguments. Without any it stays zero, if its type
// has fields at all.
func (f function) setArg(into any, args starlark.Tuple, kwargs []starlark.Tuple) error {
	in := reflect.TypeOf(into).Elem()
	fields, isStruct := ipc.FieldsOf(in)
	var arg any
	var err error
	switch {
	case len(args) > 1 || len(args) == 1 && len(kwargs) > 0:
		return f.typeError("takes one argument or keyword arguments (%d and %d given)", len(args), len(kwargs))
	case len(args) == 1:
		arg, err = toGo(args[0])
	case isStruct || in.Kind() == reflect.Map || in.Kind() == reflect.Interface && len(kwargs) > 0:
		arg, err = f.fields(fields, isStruct, kwargs)
	case len(kwargs) > 0:
		return f.typeError("takes no keyword arguments, but one %s", ipc.Fingerprint(in))
	default:
		return f.typeError("missing its argument, one %s", ipc.Fingerprint(in))
	}
	if err != nil {
		return err
	}
	encoded, err := ipc.AppendValue(nil, &arg)
	if err != nil {
		return err
	}
	return ipc.DecodeValue(encoded, into)
}

func (f function) fields(known []ipc.Field, isStruct bool, kwargs []starlark.Tuple) (any, error) {
	values := make(map[string]any, len(kwargs))
	for _, kw := range kwargs {
		name, _ := starlark.AsString(kw[0])
		if isStruct && !slices.ContainsFunc(known, func(field ipc.Field) bool { return field.Name == name }) {
			return nil, f.typeError("got an unexpected keyword argument '%s' (it takes %s)", name, list(known))
		}
		var err error
		if values[name], err = toGo(kw[1]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func list(fields []ipc.Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (f function) typeError(format string, args ...any) error {
	return &raised{"TypeError", f.name + "() " + fmt.Sprintf(format, args...)}
}
