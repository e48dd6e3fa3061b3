package main

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendResult appends the output line of an item that went well.
func appendResult(dst *bytes.Buffer, index int, v any) error {
	plain, err := jsonable(v)
	if err != nil {
		return err
	}
	start := dst.Len()
	fmt.Fprintf(dst, `{"index":%d,"result":`, index)
	if err := encode(dst, plain); err != nil {
		dst.Truncate(start)
		return err
	}
	dst.WriteString("}\n")
	return nil
}

// jsonable makes of a decoded result what encoding/json can write without loss, or says why there is no such thing. Bytes
// stay bytes, which are written as base64.
func jsonable(v any) (_ any, err error) {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%v has no form in JSON", v)
		}
	case float32:
		return jsonable(float64(v))
	case string:
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("the string %.40q is not valid UTF-8: return a []byte", v)
		}
	case []any:
		for i := range v {
			if v[i], err = jsonable(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if _, err := jsonable(key); err != nil {
				return nil, err
			}
			if v[key], err = jsonable(v[key]); err != nil {
				return nil, err
			}
		}
	case map[any]any:
		named := make(map[string]any, len(v))
		for key, value := range v {
			name, err := keyName(key)
			if err != nil {
				return nil, err
			}
			if _, twice := named[name]; twice {
				return nil, fmt.Errorf("two keys of a map are written %q in JSON", name)
			}
			if named[name], err = jsonable(value); err != nil {
				return nil, err
			}
		}
		return named, nil
	}
	return v, nil
}

// keyName is a map's key as the name in a JSON object.
func keyName(key any) (string, error) {
	switch key := key.(type) {
	case string:
		_, err := jsonable(key)
		return key, err
	case bool:
		return strconv.FormatBool(key), nil
	case int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64:
		return fmt.Sprint(key), nil
	case time.Time:
		return key.Format(time.RFC3339Nano), nil
	default:
		return "", fmt.Errorf("a %T as the key of a map has no form in JSON", key)
	}
}
