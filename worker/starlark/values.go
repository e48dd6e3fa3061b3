package starlark

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

var errTooDeep = fmt.Errorf("%w: values nest deeper than %d: they may lead in a circle", futures.ErrNotShareable, ipc.MaxDepth)

// fromGo makes a Starlark value of a copy of v: what a script sees of a result, an item, or what PrepareMain binds.
func fromGo(v any) (starlark.Value, error) { return fromReflect(reflect.ValueOf(v), 0) }

func fromReflect(v reflect.Value, depth int) (starlark.Value, error) {
	if !v.IsValid() {
		return starlark.None, nil
	}
	if depth > ipc.MaxDepth {
		return nil, errTooDeep
	}
	t := v.Type()
	if k := t.Kind(); (k == reflect.Pointer || k == reflect.Interface) && v.IsNil() {
		return starlark.None, nil
	}
	switch x := v.Interface().(type) {
	case time.Time:
		return startime.Time(x), nil
	case *big.Int:
		return starlark.MakeBigInt(x), nil
	case error:
		return starlark.String(x.Error()), nil
	default:
		if special := fromQueueing(x); special != nil {
			return special, nil
		}
	}
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return fromReflect(v.Elem(), depth+1)
	}
	if ipc.EncodesItself(t) {
		return fromEncoding(v)
	}
	switch t.Kind() {
	case reflect.Bool:
		return starlark.Bool(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return starlark.MakeInt64(v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return starlark.MakeUint64(v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return starlark.Float(v.Float()), nil
	case reflect.String:
		return starlark.String(v.String()), nil
	case reflect.Slice, reflect.Array:
		return fromList(v, depth)
	case reflect.Map:
		return fromMap(v, depth)
	case reflect.Struct:
		return fromStruct(v, depth)
	}
	return nil, fmt.Errorf("%w: a script cannot have a %s", futures.ErrNotShareable, t)
}

func fromList(v reflect.Value, depth int) (starlark.Value, error) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		return starlark.Bytes(b), nil
	}
	list := make([]starlark.Value, v.Len())
	for i := range list {
		var err error
		if list[i], err = fromReflect(v.Index(i), depth+1); err != nil {
			return nil, err
		}
	}
	return starlark.NewList(list), nil
}

// fromMap keeps no order, since the map has none: it sorts the keys, so that a script does the same each time.
func fromMap(v reflect.Value, depth int) (starlark.Value, error) {
	entries := make([][2]starlark.Value, 0, v.Len())
	for entry := v.MapRange(); entry.Next(); {
		key, err := fromReflect(entry.Key(), depth+1)
		if err != nil {
			return nil, err
		}
		value, err := fromReflect(entry.Value(), depth+1)
		if err != nil {
			return nil, err
		}
		entries = append(entries, [2]starlark.Value{key, value})
	}
	slices.SortFunc(entries, func(a, b [2]starlark.Value) int { return compareKeys(a[0], b[0]) })
	dict := starlark.NewDict(len(entries))
	for _, entry := range entries {
		if err := dict.SetKey(entry[0], entry[1]); err != nil {
			return nil, fmt.Errorf("%w: a key of a map: %w", futures.ErrNotShareable, err)
		}
	}
	return dict, nil
}

// compareKeys orders by type, then by value, and values that have no order by their texts.
func compareKeys(a, b starlark.Value) int {
	if c := strings.Compare(a.Type(), b.Type()); c != 0 {
		return c
	}
	less, err := starlark.Compare(syntax.LT, a, b)
	if err != nil {
		return strings.Compare(a.String(), b.String())
	}
	if less {
		return -1
	}
	if equal, err := starlark.Equal(a, b); err == nil && equal {
		return 0
	}
	return 1
}

func fromStruct(v reflect.Value, depth int) (starlark.Value, error) {
	fields, ok := ipc.FieldsOf(v.Type())
	if !ok {
		return fromEncoding(v)
	}
	attributes := make(starlark.StringDict, len(fields))
	for _, f := range fields {
		field, err := v.FieldByIndexErr(f.Index)
		if err != nil {
			continue // behind an embedded pointer that is nil
		}
		if attributes[f.Name], err = fromReflect(field, depth+1); err != nil {
			return nil, err
		}
	}
	name := v.Type().Name()
	if name == "" {
		name = "struct"
	}
	return starlarkstruct.FromStringDict(starlark.String(name), attributes), nil
}

// fromEncoding is for types whose encoding is up to them: what they are without it is nobody's business.
func fromEncoding(v reflect.Value) (starlark.Value, error) {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	encoded, err := ipc.AppendValue(nil, p.Interface())
	if err != nil {
		return nil, err
	}
	var plain any
	if err := ipc.DecodeValue(encoded, &plain); err != nil {
		return nil, err
	}
	return fromGo(plain)
}

// toGo makes what can travel of a Starlark value: an argument, an item.
func toGo(v starlark.Value) (any, error) { return toDepth(v, 0) }

func toDepth(v starlark.Value, depth int) (any, error) {
	if depth > ipc.MaxDepth {
		return nil, errTooDeep
	}
	switch v := v.(type) {
	case starlark.NoneType:
		return nil, nil
	case starlark.Bool:
		return bool(v), nil
	case starlark.Int:
		if n, ok := v.Int64(); ok {
			return n, nil
		}
		if n, ok := v.Uint64(); ok {
			return n, nil
		}
		return v.BigInt(), nil
	case starlark.Float:
		return float64(v), nil
	case starlark.String:
		return string(v), nil
	case starlark.Bytes:
		return []byte(v), nil
	case startime.Time:
		return time.Time(v), nil
	case queueValue:
		return v.Queue, nil
	case *starlark.Dict:
		return toMap(v, depth)
	case *starlarkstruct.Struct:
		return toFields(v, depth)
	case starlark.Iterable: // lists, tuples, sets, ranges
		return toSlice(v, depth)
	}
	return nil, fmt.Errorf("%w: a value of type %s stays in its script", futures.ErrNotShareable, v.Type())
}

func toSlice(v starlark.Iterable, depth int) (any, error) {
	list := []any{}
	for elem := range starlark.Elements(v) {
		e, err := toDepth(elem, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

func toMap(dict *starlark.Dict, depth int) (any, error) {
	named, mixed := map[string]any{}, map[any]any{}
	for k, v := range starlark.Entries(dict) {
		key, err := toDepth(k, depth+1)
		if err != nil {
			return nil, err
		}
		if key != nil && !reflect.TypeOf(key).Comparable() {
			return nil, fmt.Errorf("%w: a %s as a key", futures.ErrNotShareable, k.Type())
		}
		value, err := toDepth(v, depth+1)
		if err != nil {
			return nil, err
		}
		if name, ok := key.(string); ok {
			named[name] = value
		}
		mixed[key] = value
	}
	if len(named) == len(mixed) {
		return named, nil
	}
	return mixed, nil
}

func toFields(s *starlarkstruct.Struct, depth int) (any, error) {
	fields := map[string]any{}
	for _, name := range s.AttrNames() {
		v, err := s.Attr(name)
		if err == nil {
			fields[name], err = toDepth(v, depth+1)
		}
		if err != nil {
			return nil, err
		}
	}
	return fields, nil
}
