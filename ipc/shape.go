package ipc

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"
)

// A shape is what must be known of a Go type before msgpack may have a value of it: msgpack recurses with types and with
// values, and a stack that overflows ends the program.
type shape struct {
	err     error       // msgpack cannot have the type at all
	deep    bool        // how deep a value nests is not known from its type
	foreign bool        // methods that are not msgpack's own may write some of the bytes
	methods bool        // such methods may read some of them
	fields  []wireField // of a struct: those that are deep
}

// shapes holds the *shape of every type that was asked for. A program has only so many types.
var shapes sync.Map

var flat = &shape{}

// shapeBehind is shapeOf(t) for the type of the pointer v, and quicker for those that come in by the million.
func shapeBehind(v any, t reflect.Type) *shape {
	switch v.(type) {
	case *bool, *int, *int64, *uint64, *float64, *string, *[]byte:
		return flat
	}
	return shapeOf(t)
}

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{}
	s.add(t, map[reflect.Type]bool{})
	if hasEncoder(t) {
		s.deep = false // how deep its methods go is up to them
	}
	if s.err == nil && s.deep && t.Kind() == reflect.Struct {
		fields, _, _ := wireFields(t)
		for _, f := range fields {
			if shapeOf(f.typ).deep {
				s.fields = append(s.fields, f)
			}
		}
	}
	shapes.Store(t, s)
	return s
}

// RunsMethods reports whether decoding a value of type t may run methods that are not msgpack's own. They may block, or
// leave by runtime.Goexit.
func RunsMethods(t reflect.Type) bool { return shapeOf(t).methods }

// add looks at t and all that it is made of. around is true for the types that t is a part of, and false for those that
// were looked at.
func (s *shape) add(t reflect.Type, around map[reflect.Type]bool) {
	if inside, seen := around[t]; seen {
		s.deep = s.deep || inside
		return
	}
	if t.Kind() == reflect.Interface || hasDecoder(t) && t != reflect.TypeFor[time.Time]() {
		s.methods = true
	}
	if hasEncoder(t) {
		s.foreign = true
		if hasDecoder(t) {
			return
		}
	}
	switch t.Kind() {
	case reflect.Interface:
		s.foreign = true
		s.deep = s.deep || t != errorType // an error travels as its text
	case reflect.Uintptr:
		s.fail(errors.New("ipc: a uintptr cannot travel")) // msgpack calls a nil function for it
	}
	parts, err := partsOf(t)
	s.fail(err)
	around[t] = true
	for _, part := range parts {
		s.add(part, around)
	}
	around[t] = false
}

func (s *shape) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// maxHops is how many pointers and interfaces may follow one upon the other. They leave no trace in the encoding.
const maxHops = 64

// checkDepth makes sure that the encoding of v comes to an end, and before it nests deeper than MaxDepth.
func checkDepth(v reflect.Value) error {
	left := MaxValue
	return descend(v, 0, 0, &left)
}

// descend counts depth in arrays and maps, hops since the last one, and what is left of MaxValue if every value takes a
// byte.
func descend(v reflect.Value, depth, hops int, left *int) error {
	s := shapeOf(v.Type())
	if s.err != nil || !s.deep {
		return s.err
	}
	if kind := v.Kind(); kind == reflect.Pointer || kind == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		if hops == maxHops {
			return fmt.Errorf("ipc: more than %d pointers in a row: they may lead in a circle", maxHops)
		}
		return descend(v.Elem(), depth, hops+1, left)
	}
	if depth == MaxDepth {
		return fmt.Errorf("ipc: values nest deeper than %d: they may lead in a circle", MaxDepth)
	}
	if *left--; *left < 0 {
		return fmt.Errorf("ipc: its encoding takes more than %d bytes", MaxValue)
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := descend(v.Index(i), depth+1, 0, left); err != nil {
				return err
			}
		}
	case reflect.Map:
		for entry := v.MapRange(); entry.Next(); {
			if err := descend(entry.Key(), depth+1, 0, left); err != nil {
				return err
			}
			if err := descend(entry.Value(), depth+1, 0, left); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for _, f := range s.fields {
			field, err := v.FieldByIndexErr(f.index)
			if err != nil {
				continue // behind an embedded pointer that is nil
			}
			if err := descend(field, depth+1, 0, left); err != nil {
				return err
			}
		}
	}
	return nil
}
