package mergetest

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Show prints v for a counterexample: pointers are followed, maps sorted, bytes
// written in hexadecimal, unexported fields included. Two values of a type that
// print alike hold the same data, whatever their methods say, with the exception
// of functions and channels, of which only their presence is printed. An error
// prints as its text.
func Show(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case verbatim:
		return string(v)
	}
	var s shower
	s.value(reflect.ValueOf(v))
	return s.String()
}

type shower struct {
	strings.Builder
	path []uintptr // pointers being followed, to stop at cycles
}

func (s *shower) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Invalid:
		s.WriteString("nil")
	case reflect.Pointer:
		s.pointer(v)
	case reflect.Interface:
		s.value(v.Elem())
	case reflect.Struct:
		s.fields(v)
	case reflect.Map:
		s.entries(v)
	case reflect.Slice, reflect.Array:
		s.elements(v)
	case reflect.String:
		fmt.Fprintf(s, "%q", v.String())
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		fmt.Fprintf(s, "%s(nil: %t)", v.Kind(), v.IsNil())
	default:
		fmt.Fprint(s, v)
	}
}

func (s *shower) pointer(v reflect.Value) {
	if v.IsNil() {
		s.WriteString("nil")
		return
	}
	if slices.Contains(s.path, v.Pointer()) && v.Elem().Type().Size() > 0 {
		s.WriteString("cycle")
		return
	}
	s.path = append(s.path, v.Pointer())
	s.value(v.Elem())
	s.path = s.path[:len(s.path)-1]
}

func (s *shower) fields(v reflect.Value) {
	s.WriteByte('{')
	for i := range v.NumField() {
		s.separate(i)
		s.WriteString(v.Type().Field(i).Name + ": ")
		s.value(v.Field(i))
	}
	s.WriteByte('}')
}

func (s *shower) entries(v reflect.Value) {
	lines := make([]string, 0, v.Len())
	for k, e := range v.Seq2() {
		entry := shower{path: s.path}
		entry.value(k)
		entry.WriteString(": ")
		entry.value(e)
		lines = append(lines, entry.String())
	}
	slices.Sort(lines)
	s.WriteString("map[" + strings.Join(lines, ", ") + "]")
}

func (s *shower) elements(v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		s.WriteString("0x" + hex.EncodeToString(bytesOf(v)))
		return
	}
	s.WriteByte('[')
	for i := range v.Len() {
		s.separate(i)
		s.value(v.Index(i))
	}
	s.WriteByte(']')
}

func (s *shower) separate(i int) {
	if i > 0 {
		s.WriteString(", ")
	}
}

// bytesOf copies a slice or array of bytes, which may be out of reach of
// v.Bytes because it cannot be addressed.
func bytesOf(v reflect.Value) []byte {
	b := make([]byte, v.Len())
	for i := range b {
		b[i] = byte(v.Index(i).Uint())
	}
	return b
}

// verbatim is a text that Show prints as it is.
type verbatim string
