package crdt

import (
	"bytes"
	"fmt"
	"iter"
	"reflect"
	"slices"
)

// A row is one element of a set and its canonical encoding.
type row[T comparable] struct {
	element T
	bytes   []byte
}

// sortRows encodes the elements and sorts them by their encodings.
func sortRows[T comparable](elements iter.Seq[T], n int) ([]row[T], error) {
	rows := make([]row[T], 0, n)
	for v := range elements {
		b, err := encodeKey(v)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row[T]{v, b})
	}
	slices.SortFunc(rows, func(a, b row[T]) int { return bytes.Compare(a.bytes, b.bytes) })
	return rows, nil
}

// encodeKey is EncodeElement for an element that is kept as a Go map key. It
// must decode to itself: otherwise two replicas could hold different elements
// for the same bytes, or the same elements as different bytes.
func encodeKey[T comparable](v T) ([]byte, error) {
	b, err := EncodeElement(v)
	if err != nil {
		return nil, err
	}
	switch any(&v).(type) {
	case *string, *int, *int64, *uint64, *bool:
		return b, nil
	}
	again, err := decodeKey[T](b)
	if err != nil {
		return nil, err
	}
	if again != v {
		return nil, &ValueError{fmt.Sprintf("an element of %T that does not decode to itself", v), nil}
	}
	return b, nil
}

// decodeKey reads the encoding of an element and refuses every other.
func decodeKey[T comparable](b []byte) (v T, err error) {
	if err := CheckElement(b); err != nil {
		return v, err
	}
	if v, err = DecodeValue[T](b); err != nil {
		return v, err
	}
	if !usableKey(reflect.ValueOf(&v).Elem()) {
		return v, &ValueError{fmt.Sprintf("an element of %T that cannot be compared by its bytes", v), nil}
	}
	again, err := EncodeValue(v)
	if err == nil && !bytes.Equal(again, b) {
		err = &ValueError{fmt.Sprintf("bytes that %T does not encode to", v), nil}
	}
	return v, err
}

// usableKey reports whether v can be compared, and equals exactly the values
// that have its encoding. NaN equals none, and -0 equals 0.
func usableKey(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		f := v.Float()
		return f == f && (f != 0 || 1/f > 0)
	case reflect.Interface:
		return v.IsNil() || usableKey(v.Elem())
	case reflect.Struct:
		return all(v.NumField(), func(i int) bool { return usableKey(v.Field(i)) })
	case reflect.Array:
		return all(v.Len(), func(i int) bool { return usableKey(v.Index(i)) })
	}
	return v.Comparable()
}

func all(n int, ok func(i int) bool) bool {
	for i := range n {
		if !ok(i) {
			return false
		}
	}
	return true
}
