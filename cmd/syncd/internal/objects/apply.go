// Package objects reads and changes the objects of a node by the names of their
// types, with JSON values: what the HTTP API needs and the typed references of
// package node do not have.
package objects

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

// Kinds of errors in operations.
var (
	// ErrType: there is no such type.
	ErrType = errors.New("objects: unknown type")
	// ErrOp: the operation cannot be done, whatever the object holds.
	ErrOp = errors.New("objects: unusable operation")
	// ErrReadOnly: objects of the type are not written by operations.
	ErrReadOnly = errors.New("objects: read-only type")
)

// An Error reports an unusable operation or type.
type Error struct {
	Kind    error // ErrType, ErrOp or ErrReadOnly
	Problem string
	Hint    string
}

// Error says what is wrong.
func (e *Error) Error() string { return e.Problem }

// Is makes an Error match its kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// An OpError is an error of one operation of a transaction.
type OpError struct {
	Index int
	Err   error
}

// Error returns the text of the error, with the index.
func (e *OpError) Error() string { return fmt.Sprintf("operation %d: %v", e.Index, e.Err) }

// Unwrap returns the error.
func (e *OpError) Unwrap() error { return e.Err }

// Types returns the names of the types, ascending.
func Types() []string { return slices.Sorted(maps.Keys(methods)) }

// DefaultType returns the type that an operation without one is for.
func DefaultType(op string) string { return defaultTypes[op] }

// CheckType returns an [*Error] that is [ErrType] unless there is such a type.
func CheckType(name string) error {
	if _, ok := methods[name]; ok {
		return nil
	}
	return &Error{ErrType, fmt.Sprintf("there is no type %q", name), "types are " + strings.Join(Types(), ", ")}
}

// Check returns an [*Error], in an [*OpError], unless every operation is one
// that can be tried. It sets the types that are missing.
func Check(ops []v1.Op) error {
	for i := range ops {
		if err := check(&ops[i]); err != nil {
			return &OpError{i, err}
		}
	}
	return nil
}

func check(op *v1.Op) error {
	if _, ok := defaultTypes[op.Op]; !ok {
		return badOp("operations are "+strings.Join(slices.Sorted(maps.Keys(defaultTypes)), ", "), "there is no operation %q", op.Op)
	}
	if op.Type == "" {
		op.Type = typeOf(op)
	}
	if err := CheckType(op.Type); err != nil {
		return err
	}
	if len(methods[op.Type]) == 0 {
		return readOnly(op.Type)
	}
	m, ok := methods[op.Type][op.Op]
	if !ok {
		return badOp(takes(op.Type), "the type %s has no operation %s", op.Type, op.Op)
	}
	return m.check(op)
}

// typeOf returns the type that an operation without one is for: what has a field
// is for a map.
func typeOf(op *v1.Op) string {
	if _, ok := methods[mapOfLatest][op.Op]; ok && op.Field != nil {
		return mapOfLatest
	}
	return defaultTypes[op.Op]
}

func (m method) check(op *v1.Op) error {
	for _, arg := range []struct {
		is    argument
		given bool
		name  string
	}{
		{aField, op.Field != nil, "field"},
		{aValue, op.Value != nil, "value"},
		{anAmount, op.By != nil, "amount"},
	} {
		switch wanted := m.wants&arg.is != 0; {
		case arg.given && !wanted:
			return badOp(takes(op.Type), "%s takes no %s", op.Op, arg.name)
		case wanted && !arg.given && arg.is != anAmount:
			return badOp(takes(op.Type), "%s wants a %s", op.Op, arg.name)
		}
	}
	return nil
}

// takes says what operations a type has, and what they take.
func takes(kind string) string {
	var all []string
	for _, op := range slices.Sorted(maps.Keys(methods[kind])) {
		if names := methods[kind][op].wants.String(); names != "" {
			op += " (" + names + ")"
		}
		all = append(all, op)
	}
	return "operations of " + kind + " are " + strings.Join(all, ", ")
}

func badOp(hint, format string, args ...any) error {
	return &Error{ErrOp, fmt.Sprintf(format, args...), hint}
}

func readOnly(kind string) error {
	return &Error{
		ErrReadOnly, fmt.Sprintf("objects of type %s can be read and watched here, not written", kind),
		"write them with the Go library, node.ORMap, or use lwwmap, or one object for each field",
	}
}

// Apply does the operations, which Check has passed, in a transaction. Its
// errors are [*OpError].
func Apply(tx *node.Tx, ops []v1.Op) error {
	for i, op := range ops {
		if err := methods[op.Type][op.Op].do(tx, op); err != nil {
			return &OpError{i, err}
		}
	}
	return nil
}
