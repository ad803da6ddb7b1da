package objects

import (
	"iter"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/sync/node"
)

// builtinMaps knows the cells of maps of objects.
var builtinMaps = crdt.NewMapKind(crdt.Builtin())

// readMap reads the fields of a map that are present, and what is in them. Maps
// in fields are read too, at most [crdt.MaxDepth] deep, since no cell is deeper.
func readMap(out *v1.Content, r node.Reader, o node.Object) error {
	var all cells
	for c, err := range r.Cells(o.Key, o.Kind) {
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	fields, err := readFields(all, 0)
	out.Fields = fields
	return err
}

// readFields reads the fields of a map, whose cells are given with their whole
// names. The first skip bytes of these say which map it is.
func readFields(all cells, skip int) ([]v1.Field, error) {
	fields := []v1.Field{}
	for len(all) > 0 {
		name := all[0].Element
		field, kind, rest, err := crdt.CutField([]byte(name[skip:]))
		if err != nil {
			return nil, err
		}
		within := name[:len(name)-len(rest)]
		n := 1
		for n < len(all) && strings.HasPrefix(all[n].Element, within) {
			n++
		}
		f := v1.Field{Field: jsonvalue.Value(field), Type: string(kind)}
		present, err := readField(&f, all[:n], len(within))
		if err != nil {
			return nil, err
		}
		if present {
			fields = append(fields, f)
		}
		all = all[n:]
	}
	return fields, nil
}

// readField reads what is in a field, and reports whether the field is present.
func readField(f *v1.Field, all cells, skip int) (present bool, err error) {
	if f.Type == mapOfObjects {
		f.Fields, err = readFields(all, skip)
		return len(f.Fields) > 0, err
	}
	inner := make(cells, len(all))
	for i, c := range all {
		_, needed, err := builtinMaps.ResetCell([]byte(c.Element), c.State)
		if err != nil {
			return false, err
		}
		present = present || needed
		state, err := builtinMaps.State([]byte(c.Element), c.State)
		if err != nil {
			return false, err
		}
		inner[i] = object.Cell{Element: c.Element[skip:], State: state}
	}
	read, ok := readings[f.Type]
	if !present || !ok {
		return present, nil
	}
	return true, read(&f.Content, inner, "")
}

// cells is the cells of one object, ascending, and the space of it alone.
type cells []object.Cell

// Reader returns the cells, under whatever name.
func (c cells) Reader(string, string) object.Reader { return c }

// Cell returns the state of one cell, nil if it is absent.
func (c cells) Cell(element string) ([]byte, error) {
	i, ok := slices.BinarySearchFunc(c, element, func(c object.Cell, e string) int { return strings.Compare(c.Element, e) })
	if !ok {
		return nil, nil
	}
	return c[i].State, nil
}

// Cells yields those whose element starts with prefix.
func (c cells) Cells(prefix string) iter.Seq2[object.Cell, error] {
	return func(yield func(object.Cell, error) bool) {
		for _, cell := range c {
			if strings.HasPrefix(cell.Element, prefix) && !yield(cell, nil) {
				return
			}
		}
	}
}
