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

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/sync/node"
)

// Kinds of errors in operations.
var (
	// ErrType: there is no such type.
	ErrType = errors.New("objects: unknown type")
	// ErrOp: the operation cannot be done, whatever the object holds.
	ErrOp = errors.New("objects: unusable operation")
)

// An Error reports an unusable operation or type.
type Error struct {
	Kind    error // ErrType or ErrOp
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

type value = jsonvalue.Value

// A method does one operation on the object of one type.
type method struct {
	wants argument
	do    func(tx *node.Tx, op v1.Op) error
}

// argument is what an operation takes.
type argument int

const (
	nothing argument = iota
	aValue
	anAmount
)

// methods is every operation by type.
var methods = map[string]map[string]method{
	crdt.GSetKind.Name(): {
		"add": {aValue, func(tx *node.Tx, op v1.Op) error { return node.GSet[value](op.Key).Add(tx, op.Value) }},
	},
	crdt.TwoPSetKind.Name(): {
		"add":    {aValue, func(tx *node.Tx, op v1.Op) error { return node.TwoPSet[value](op.Key).Add(tx, op.Value) }},
		"remove": {aValue, func(tx *node.Tx, op v1.Op) error { return node.TwoPSet[value](op.Key).Remove(tx, op.Value) }},
	},
	crdt.ORSetKind.Name(): {
		"add":    {aValue, func(tx *node.Tx, op v1.Op) error { return node.ORSet[value](op.Key).Add(tx, op.Value) }},
		"remove": {aValue, func(tx *node.Tx, op v1.Op) error { return node.ORSet[value](op.Key).Remove(tx, op.Value) }},
	},
	crdt.RWSetKind.Name(): {
		"add":    {aValue, func(tx *node.Tx, op v1.Op) error { return node.RWSet[value](op.Key).Add(tx, op.Value) }},
		"remove": {aValue, func(tx *node.Tx, op v1.Op) error { return node.RWSet[value](op.Key).Remove(tx, op.Value) }},
	},
	crdt.LWWKind.Name(): {
		"set": {aValue, func(tx *node.Tx, op v1.Op) error { return node.LWW[value](op.Key).Set(tx, op.Value) }},
	},
	crdt.MVKind.Name(): {
		"set":   {aValue, func(tx *node.Tx, op v1.Op) error { return node.MVRegister[value](op.Key).Set(tx, op.Value) }},
		"clear": {nothing, func(tx *node.Tx, op v1.Op) error { return node.MVRegister[value](op.Key).Clear(tx) }},
	},
	crdt.PNCounterKind.Name(): {
		"inc":   {anAmount, func(tx *node.Tx, op v1.Op) error { return node.PNCounter(op.Key).Add(tx, amount(op)) }},
		"reset": {nothing, func(tx *node.Tx, op v1.Op) error { return node.PNCounter(op.Key).Reset(tx) }},
	},
}

// defaultTypes is the type of an operation that names none.
var defaultTypes = map[string]string{
	"add": crdt.ORSetKind.Name(), "remove": crdt.ORSetKind.Name(),
	"set": crdt.LWWKind.Name(), "clear": crdt.MVKind.Name(),
	"inc": crdt.PNCounterKind.Name(), "reset": crdt.PNCounterKind.Name(),
}

func amount(op v1.Op) int64 {
	if op.By == nil {
		return 1
	}
	return *op.By
}

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
		op.Type = defaultTypes[op.Op]
	}
	if err := CheckType(op.Type); err != nil {
		return err
	}
	m, ok := methods[op.Type][op.Op]
	if !ok {
		has := strings.Join(slices.Sorted(maps.Keys(methods[op.Type])), ", ")
		return badOp("operations of "+op.Type+" are "+has, "the type %s has no operation %s", op.Type, op.Op)
	}
	switch {
	case m.wants == aValue && op.Value == nil:
		return badOp("", "%s wants a value", op.Op)
	case m.wants != aValue && op.Value != nil:
		return badOp(`the amount of inc is called "by"`, "%s takes no value", op.Op)
	case m.wants != anAmount && op.By != nil:
		return badOp(`only inc takes "by"`, "%s takes no amount", op.Op)
	}
	return nil
}

func badOp(hint, format string, args ...any) error {
	return &Error{ErrOp, fmt.Sprintf(format, args...), hint}
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
