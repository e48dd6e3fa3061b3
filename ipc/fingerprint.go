package ipc

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const (
	maxFingerprint = 64 // a longer description is cut
	keptOfCut      = 40 // to this, and its hash follows
)

// Fingerprint describes how values of t look on the wire: types with the same fingerprint decode what the other encodes,
// without loss. The names of types do not matter, nor does the order of a struct's fields unless it is encoded as an
// array. The names of fields do, and so does every kind: an int is not an int64, nor a T a *T.
//
// A type with encoding methods of its own is described by its package and its name. Deeper changes of such a type are not
// seen, nor are codecs that were registered with msgpack apart from the type. A queue is a queue, whatever its type: see [QueueType].
//
// Descriptions of up to 64 bytes are as a human would write them, such as struct{A:int,B:[]string}. Of a longer one, or of
// a longer part, the beginning and a hash are left. They are the same in every process and every build.
func Fingerprint(t reflect.Type) string {
	d := describer{started: map[reflect.Type]int{}, closed: map[reflect.Type]string{}}
	return d.describe(t)
}

type describer struct {
	// started numbers the recursive structs, slices, maps and pointers in the order they are met. A type met again is
	// described as ^number, so that the description ends and stays linear in the number of types.
	started map[reflect.Type]int

	// closed holds the descriptions of the others.
	closed map[reflect.Type]string
}

func (d *describer) describe(t reflect.Type) string {
	if name := t.Kind().String(); t.PkgPath() == "" && t.Name() == name {
		return name // int and its like
	}
	if isQueue(t) {
		return "queue"
	}
	if n, ok := d.started[t]; ok {
		return "^" + strconv.Itoa(n)
	}
	if s, ok := d.closed[t]; ok {
		return s
	}
	if isPartOf(t, t, map[reflect.Type]bool{}) {
		d.started[t] = len(d.started)
		return shorten(d.open(t))
	}
	s := shorten(d.open(t))
	d.closed[t] = s
	return s
}

// open describes t by its parts.
func (d *describer) open(t reflect.Type) string {
	if isOpaque(t) {
		return opaque(t)
	}
	switch t.Kind() {
	case reflect.Interface:
		switch {
		case t == errorType:
			return "error"
		case t.NumMethod() == 0:
			return "any"
		}
		return opaque(t)
	case reflect.Pointer:
		if pointsToItself(t) {
			return opaque(t)
		}
		return "*" + d.describe(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "[]byte" // whatever the element's name and methods
		}
		return "[]" + d.describe(t.Elem())
	case reflect.Array:
		n := "[" + strconv.Itoa(t.Len()) + "]"
		if t.Elem().Kind() == reflect.Uint8 {
			return n + "byte"
		}
		return n + d.describe(t.Elem())
	case reflect.Map:
		return "map[" + d.describe(t.Key()) + "]" + d.describe(t.Elem())
	case reflect.Struct:
		return d.fields(t)
	default:
		return t.Kind().String()
	}
}

func (d *describer) fields(t reflect.Type) string {
	fields, asArray, err := wireFields(t)
	if err != nil {
		return opaque(t) // it cannot travel at all, as AppendValue and DecodeValue will say
	}
	kind := "array"
	if !asArray {
		kind = "struct"
		slices.SortStableFunc(fields, func(a, b wireField) int { return strings.Compare(a.name, b.name) })
	}
	parts := make([]string, len(fields))
	for i, f := range fields {
		name := f.name
		if strings.ContainsAny(name, ",:{}\"") {
			name = strconv.Quote(name)
		}
		parts[i] = name + ":" + d.describe(f.typ)
	}
	return kind + "{" + strings.Join(parts, ",") + "}"
}

// isPartOf says whether values of whole can hold values of t, as far as types tell. Those in seen are known not to.
func isPartOf(t, whole reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[whole] || isOpaque(whole) {
		return false
	}
	seen[whole] = true
	parts, _ := partsOf(whole) // of a type that cannot travel, none
	return slices.ContainsFunc(parts, func(part reflect.Type) bool { return part == t || isPartOf(t, part, seen) })
}

func isOpaque(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && (hasEncoder(t) || hasDecoder(t))
}

// opaque names a type that is not looked into.
func opaque(t reflect.Type) string {
	if t.Name() == "" || t.PkgPath() == "" {
		return t.String()
	}
	return t.PkgPath() + "." + t.Name()
}

func shorten(s string) string {
	if len(s) <= maxFingerprint {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return fmt.Sprintf("%s#%x", s[:keptOfCut], sum[:8])
}
