package sync

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits on names.
const (
	MaxObject = 1 << 10 // bytes in the key of an object, at least 1
	MaxKind   = 64      // bytes in the name of a kind, at least 1
	MaxSpace  = 255     // bytes in the name of a space, at least 1
)

// ErrName is the kind of every [*NameError].
var ErrName = errors.New("sync: unusable name")

// A NameError reports the name of a space, object or kind that cannot be used.
type NameError struct {
	What    string // "space", "object" or "kind"
	Name    string
	Problem string
}

// Error says what is wrong with the name.
func (e *NameError) Error() string {
	return fmt.Sprintf("sync: %s name %.40q %s", e.What, e.Name, e.Problem)
}

// Is makes a NameError match [ErrName].
func (e *NameError) Is(target error) bool { return target == ErrName }

// CheckName returns a [*NameError] unless name is valid UTF-8 of 1 to limit
// bytes.
func CheckName(what, name string, limit int) error {
	switch {
	case name == "":
		return &NameError{what, name, "is empty"}
	case len(name) > limit:
		return &NameError{what, name, fmt.Sprintf("has %d bytes, the limit is %d", len(name), limit)}
	case !utf8.ValidString(name):
		return &NameError{what, name, "is not valid UTF-8"}
	}
	return nil
}

// A CellKey names one cell of a space.
type CellKey struct {
	Object  string // key of the object
	Kind    string // name of its kind; two kinds under one key are two objects
	Element string // which part of the object, empty for the only one
}

// Compare orders keys as their stored forms are ordered.
func (k CellKey) Compare(o CellKey) int {
	return cmp.Or(strings.Compare(k.Object, o.Object), strings.Compare(k.Kind, o.Kind), strings.Compare(k.Element, o.Element))
}

// In the stored form a name ends with 0x00 0x01 and a NUL inside it is written
// 0x00 0xFF, so that bytewise order is order by object, kind and element.
const (
	escapedNUL = "\x00\xff"
	endOfName  = "\x00\x01"
)

// AppendBinary appends the stored form.
func (k CellKey) AppendBinary(dst []byte) ([]byte, error) {
	return append(ObjectPrefix(ObjectPrefix(dst, k.Object), k.Kind), k.Element...), nil
}

// ObjectPrefix appends the prefix that the stored keys of the object's cells
// share with no other object's.
func ObjectPrefix(dst []byte, object string) []byte {
	if strings.IndexByte(object, 0) >= 0 {
		object = strings.ReplaceAll(object, "\x00", escapedNUL)
	}
	return append(append(dst, object...), endOfName...)
}

// KindPrefix returns the prefix of the stored keys of one object of one kind.
func KindPrefix(object, kind string) []byte {
	return ObjectPrefix(ObjectPrefix(nil, object), kind)
}

// ParseCellKey reads the stored form and nothing else.
func ParseCellKey(b []byte) (CellKey, error) {
	object, rest, ok := cutName(b)
	kind, element, ok2 := cutName(rest)
	if !ok || !ok2 {
		return CellKey{}, &NameError{"cell", string(b), "is not a stored key"}
	}
	return CellKey{object, kind, string(element)}, nil
}

func cutName(b []byte) (name string, rest []byte, ok bool) {
	end := bytes.Index(b, []byte(endOfName))
	if end < 0 {
		return "", nil, false
	}
	name = string(b[:end])
	if strings.Count(name, "\x00") != strings.Count(name, escapedNUL) {
		return "", nil, false
	}
	return strings.ReplaceAll(name, escapedNUL, "\x00"), b[end+len(endOfName):], true
}
