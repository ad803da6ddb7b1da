package objects

import (
	"strings"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/sync/node"
)

type value = jsonvalue.Value

// The types that hold fields.
var (
	mapOfLatest  = crdt.LWWMapKind.Name()
	mapOfObjects = object.NewORMap[value]("").Object().Kind
)

// A method does one operation on the object of one type.
type method struct {
	wants argument
	do    func(tx *node.Tx, op v1.Op) error
}

// argument is what an operation takes, a sum. An amount can be left out.
type argument int

const (
	aField argument = 1 << iota
	aValue
	anAmount
	nothing argument = 0
)

// String returns the names of the arguments in JSON.
func (a argument) String() string {
	var names []string
	for i, name := range []string{"field", "value", "by"} {
		if a&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// methods is every operation by type. A type without one can only be read.
var methods = map[string]map[string]method{
	crdt.GSetKind.Name():               {"add": adds(node.GSet[value])},
	crdt.TwoPSetKind.Name():            {"add": adds(node.TwoPSet[value]), "remove": removes(node.TwoPSet[value])},
	crdt.ORSetKind.Name():              {"add": adds(node.ORSet[value]), "remove": removes(node.ORSet[value])},
	crdt.RWSetKind.Name():              {"add": adds(node.RWSet[value]), "remove": removes(node.RWSet[value])},
	crdt.USetKind.Name():               {"add": adds(node.USet[value]), "remove": removes(node.USet[value])},
	crdt.LWWSetKind.Name():             {"add": adds(node.LWWSet[value]), "remove": removes(node.LWWSet[value])},
	crdt.RemoveBiasedLWWSetKind.Name(): {"add": adds(node.RemoveBiasedLWWSet[value]), "remove": removes(node.RemoveBiasedLWWSet[value])},
	crdt.PNSetKind.Name(): {
		"add": adds(node.PNSet[value]), "remove": removes(node.PNSet[value]),
		"reset": {aValue, func(tx *node.Tx, op v1.Op) error { return node.PNSet[value](op.Key).Reset(tx, op.Value) }},
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
	crdt.GCounterKind.Name(): {"inc": {anAmount, countUp}},
	crdt.BoundedKind.Name():  {"inc": {anAmount, countBounded}},
	crdt.EWFlagKind.Name():   switches(node.EWFlag),
	crdt.DWFlagKind.Name():   switches(node.DWFlag),
	mapOfLatest: {
		"set": {aField | aValue, func(tx *node.Tx, op v1.Op) error {
			return node.LWWMap[value, value](op.Key).Set(tx, op.Field, op.Value)
		}},
		"remove": {aField, func(tx *node.Tx, op v1.Op) error {
			return node.LWWMap[value, value](op.Key).Delete(tx, op.Field)
		}},
	},
	mapOfObjects: {},
}

// defaultTypes is the type of an operation that names none.
var defaultTypes = map[string]string{
	"add": crdt.ORSetKind.Name(), "remove": crdt.ORSetKind.Name(),
	"set": crdt.LWWKind.Name(), "clear": crdt.MVKind.Name(),
	"inc": crdt.PNCounterKind.Name(), "reset": crdt.PNCounterKind.Name(),
	"enable": crdt.EWFlagKind.Name(), "disable": crdt.EWFlagKind.Name(),
}

// adds is the method of sets that are added to.
func adds[S interface {
	Add(tx object.Tx, v value) error
}](set func(key string) S) method {
	return method{aValue, func(tx *node.Tx, op v1.Op) error { return set(op.Key).Add(tx, op.Value) }}
}

// removes is the method of sets that are removed from.
func removes[S interface {
	Remove(tx object.Tx, v value) error
}](set func(key string) S) method {
	return method{aValue, func(tx *node.Tx, op v1.Op) error { return set(op.Key).Remove(tx, op.Value) }}
}

// switches is the methods of flags.
func switches[F interface {
	Enable(tx object.Tx) error
	Disable(tx object.Tx) error
}](flag func(key string) F) map[string]method {
	return map[string]method{
		"enable":  {nothing, func(tx *node.Tx, op v1.Op) error { return flag(op.Key).Enable(tx) }},
		"disable": {nothing, func(tx *node.Tx, op v1.Op) error { return flag(op.Key).Disable(tx) }},
	}
}

func amount(op v1.Op) int64 {
	if op.By == nil {
		return 1
	}
	return *op.By
}

func countUp(tx *node.Tx, op v1.Op) error {
	by := amount(op)
	if by < 0 {
		return badOp("use pncounter for what goes down too, bounded for what must not fall below 0", "a gcounter counts up only, not by %d", by)
	}
	return node.GCounter(op.Key).Add(tx, uint64(by))
}

func countBounded(tx *node.Tx, op v1.Op) error {
	by := amount(op)
	if by < 0 {
		return node.BoundedCounter(op.Key).Dec(tx, -uint64(by))
	}
	return node.BoundedCounter(op.Key).Inc(tx, uint64(by))
}
