package ipc

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// A wireField is a field of a struct as msgpack sees it: under its name on the wire, with embedded structs dissolved.
type wireField struct {
	name  string
	typ   reflect.Type
	index []int
}

// wireFields lists the fields of t that msgpack encodes, in its order. The error says why it cannot.
//
// It follows getFields of msgpack 5.4.1, which recurses for ever over a struct that embeds itself.
func wireFields(t reflect.Type) (fields []wireField, asArray bool, err error) {
	return fieldsWithin(t, nil)
}

func fieldsWithin(t reflect.Type, around []reflect.Type) (fields []wireField, asArray bool, err error) {
	if slices.Contains(around, t) {
		return nil, false, fmt.Errorf("ipc: %s embeds itself", t)
	}
	around = append(around, t)
	taken := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options := parseTag(f.Tag.Get("msgpack"))
		if name == "-" {
			continue
		}
		if f.Name == "_msgpack" {
			asArray = slices.Contains(options, "as_array") || slices.Contains(options, "asArray")
		}
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		if slices.Contains(options, "intern") {
			// A reference to a string is an extension, which would have to be read where no extension belongs.
			return nil, false, fmt.Errorf("ipc: %s.%s: the intern option is not supported", t, f.Name)
		}
		if name == "" {
			name = f.Name
		}
		if f.Anonymous && !slices.Contains(options, "noinline") {
			forced := slices.Contains(options, "inline")
			inner, dissolved, err := dissolve(f.Type, forced, taken, around)
			if err != nil {
				return nil, false, err
			}
			if dissolved {
				for _, in := range inner {
					taken[in.name] = true
					in.index = append([]int{i}, in.index...)
					fields = append(fields, in)
				}
				taken[name] = true
				continue
			}
		}
		taken[name] = true
		fields = append(fields, wireField{name, f.Type, f.Index})
	}
	return fields, asArray, nil
}

var errPointsToItself = errors.New("ipc: a pointer type that points to itself")

// pointsToItself is true for type P *P and its like: no other has that many stars.
func pointsToItself(t reflect.Type) bool {
	for range maxHops {
		if t.Kind() != reflect.Pointer {
			return false
		}
		t = t.Elem()
	}
	return true
}

// dissolve lists the fields of an embedded struct that take its place, and whether they do. Unless forced to, they do so
// only all together.
func dissolve(t reflect.Type, forced bool, taken map[string]bool, around []reflect.Type) ([]wireField, bool, error) {
	if forced && t.Kind() != reflect.Struct {
		return nil, false, fmt.Errorf("ipc: the inline option on %s, which is no struct", t)
	}
	if pointsToItself(t) {
		return nil, false, errPointsToItself
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || !forced && (hasEncoder(t) || hasDecoder(t)) {
		return nil, false, nil
	}
	fields, _, err := fieldsWithin(t, around)
	if err != nil {
		return nil, false, err
	}
	shadowed := func(f wireField) bool { return taken[f.name] }
	if forced {
		return slices.DeleteFunc(fields, shadowed), true, nil
	}
	return fields, !slices.ContainsFunc(fields, shadowed), nil
}

// partsOf lists the types that values of t are encoded from. The error says why msgpack cannot have t.
func partsOf(t reflect.Type) (parts []reflect.Type, err error) {
	switch t.Kind() {
	case reflect.Pointer:
		if pointsToItself(t) {
			return nil, errPointsToItself
		}
		return []reflect.Type{t.Elem()}, nil
	case reflect.Slice, reflect.Array:
		return []reflect.Type{t.Elem()}, nil
	case reflect.Map:
		return []reflect.Type{t.Key(), t.Elem()}, nil
	case reflect.Struct:
		fields, _, err := wireFields(t)
		for _, f := range fields {
			parts = append(parts, f.typ)
		}
		return parts, err
	default:
		return nil, nil
	}
}

// parseTag takes a msgpack tag apart: a name, and options without their values. Quotes are not understood.
func parseTag(tag string) (name string, options []string) {
	for i, part := range strings.Split(tag, ",") {
		key, _, hasValue := strings.Cut(part, ":")
		key = strings.TrimSpace(key)
		if i == 0 && !hasValue {
			name = key
			continue
		}
		options = append(options, key)
	}
	return name, options
}

var errorType = reflect.TypeFor[error]()

var (
	encoderTypes = []reflect.Type{
		reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
	}
	decoderTypes = []reflect.Type{
		reflect.TypeFor[msgpack.CustomDecoder](), reflect.TypeFor[msgpack.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryUnmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}
)

// hasEncoder says whether msgpack leaves the encoding of t to methods of its own.
func hasEncoder(t reflect.Type) bool { return implementsAny(t, encoderTypes) }

// hasDecoder says whether msgpack leaves the decoding of t to methods of its own.
func hasDecoder(t reflect.Type) bool { return implementsAny(t, decoderTypes) }

func implementsAny(t reflect.Type, interfaces []reflect.Type) bool {
	return slices.ContainsFunc(interfaces, func(i reflect.Type) bool {
		return t.Implements(i) || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(i)
	})
}

// A Field is a field of a struct as it travels.
type Field struct {
	Name  string // the key in the map
	Index []int  // as [reflect.Value.FieldByIndexErr] takes it
}

// fieldsOf holds the []Field of every type that FieldsOf was asked for; nil if there are none.
var fieldsOf sync.Map

// FieldsOf lists the fields of t, those of embedded structs among them. It reports false unless values of t travel as a map of fields: t is
// a struct, without encoding methods of its own and without the option as_array. The list is not to be changed.
func FieldsOf(t reflect.Type) ([]Field, bool) {
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	known, ok := fieldsOf.Load(t)
	if !ok {
		known, _ = fieldsOf.LoadOrStore(t, listFields(t))
	}
	fields := known.([]Field)
	return fields, fields != nil
}

func listFields(t reflect.Type) []Field {
	wire, asArray, err := wireFields(t)
	if err != nil || asArray || isOpaque(t) {
		return nil
	}
	fields := make([]Field, len(wire))
	for i, f := range wire {
		fields[i] = Field{f.name, f.index}
	}
	return fields
}

// EncodesItself reports whether the encoding of t is up to methods of its own.
func EncodesItself(t reflect.Type) bool { return hasEncoder(t) }
