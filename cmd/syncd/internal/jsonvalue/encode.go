package jsonvalue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/joinery-crdt/joinery/crdt"
)

// appendJSON appends the text of a decoded value.
func appendJSON(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case uint64:
		return strconv.AppendUint(dst, v, 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case string:
		return appendString(dst, v), nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return appendFloat(dst, v), nil
		}
	case []any:
		return appendArray(dst, v)
	case map[any]any:
		if keys, ok := textKeys(v); ok {
			return appendObject(dst, v, keys)
		}
	}
	return appendEscape(dst, v)
}

func appendString(dst []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string into memory
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// appendFloat writes the shortest text that leads back to f and is no integer's.
func appendFloat(dst []byte, f float64) []byte {
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	text := strconv.AppendFloat(nil, f, format, -1, 64)
	if !bytes.ContainsAny(text, ".e") {
		text = append(text, ".0"...)
	}
	return append(dst, text...)
}

func appendArray(dst []byte, items []any) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, v := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendJSON(dst, v); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// textKeys returns the keys of m, ascending, and false unless m is an object
// that can be written as one.
func textKeys(m map[any]any) ([]string, bool) {
	keys := make([]string, 0, len(m))
	for k := range m {
		s, ok := k.(string)
		if !ok {
			return nil, false
		}
		keys = append(keys, s)
	}
	slices.Sort(keys)
	return keys, len(keys) != 1 || keys[0] != escapeKey
}

func appendObject(dst []byte, m map[any]any, keys []string) (_ []byte, err error) {
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, k), ':')
		if dst, err = appendJSON(dst, m[k]); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendEscape(dst []byte, v any) ([]byte, error) {
	raw, err := crdt.EncodeValue(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(dst, "{%q:\"%x\"}", escapeKey, raw), nil
}
