package crdt

import (
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
)

const mapName = "ormap"

// MaxDepth is how many maps can stand in each other in the cells of a
// [MapKind].
const MaxDepth = 16

// A MapKind keeps maps of objects, nested: the cells of a map are those of the
// objects in its fields. A cell is named by the encoding of the field, the name
// of the field's kind as canonical CBOR text, and the name of the cell within
// the field; a map in a field goes on in the same way. The whole name has at
// most [MaxElement] bytes. Two kinds in one field are two objects, removed
// together.
//
// A field of a [Resetter] is kept in the cells of its kind, and so are counts,
// which are reset by baselines: a cell of a "gcounter" or a "bounded" has its
// own, and is read through [MapKind.State]. A cell of any other kind holds the writes that no later write dominates and no removal has seen,
// each under its dot, and is read likewise: as of [Nested], what is written at the time of a removal survives it whole.
//
// A write to a field of a kind that is not among the map's is an
// [*UnknownKindError].
type MapKind struct{ kinds Kinds }

// NewMapKind returns the kind of maps whose fields are of the kinds given, and
// of maps of them. It keeps kinds, to which others can be added until it is in
// use.
func NewMapKind(kinds Kinds) *MapKind { return &MapKind{kinds} }

// A Resetter is a kind that says how what a cell holds is taken away. A field of
// a map that is of such a kind is kept as an object of the kind is.
type Resetter interface {
	Kind
	// Reset returns the op by which a writer that sees cell resets it: it takes
	// away what the cell holds and leaves what is written at the same time.
	// needed is false if there is nothing to reset. Then the cell does not make
	// its field present.
	Reset(cell []byte) (op Op, needed bool, err error)
}

// ErrUnknownKind is the kind of every [*UnknownKindError].
var ErrUnknownKind = errors.New("crdt: a type that is not known here")

// An UnknownKindError reports a write to a field of a map whose kind is not among
// those of the map. Others may know it: a node passes the change on.
type UnknownKindError struct {
	Name  string   // of the field's kind
	Known []string // of the map, ascending
}

// Error names the kind and those that are known.
func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("crdt: a field of a map is of the unknown type %.64q; known are %v", e.Name, e.Known)
}

// Is makes an UnknownKindError match [ErrUnknownKind] and [ErrWrite].
func (e *UnknownKindError) Is(target error) bool {
	return target == ErrUnknownKind || target == ErrWrite
}

// AppendField appends the part of a cell's name that says it is in that field,
// of that kind. The error is a [*ValueError] about the field.
func AppendField(dst []byte, field any, kind string) ([]byte, error) {
	key, err := EncodeElement(field)
	if err != nil {
		return nil, err
	}
	name, err := EncodeValue(kind)
	if err != nil {
		return nil, err
	}
	return append(append(dst, key...), name...), nil
}

// Name returns "ormap".
func (k *MapKind) Name() string { return mapName }

// Check accepts what the kind of the field accepts, and resets.
func (k *MapKind) Check(w Write) error {
	in, err := k.cell(w.Element)
	if err != nil {
		return notInField(err)
	}
	if problem := w.wellFormed(); problem != "" {
		return &WriteError{mapName, problem}
	}
	w.Element = in.element
	if err := in.kind.check(w); err != nil {
		return &WriteError{mapName, "in a field: " + err.Error()}
	}
	return nil
}

// notInField returns the error about a write whose cell has a name that is none.
func notInField(err error) error {
	if errors.Is(err, ErrUnknownKind) {
		return err
	}
	return &WriteError{mapName, err.Error()}
}

// Join joins the write into the cell as the kind of its field does.
func (k *MapKind) Join(cell []byte, seen merge.Dots, w Write) ([]byte, error) {
	in, err := k.cell(w.Element)
	if err != nil {
		return nil, notInField(err)
	}
	w.Element = in.element
	joined, err := in.kind.join(cell, seen, w)
	if err != nil {
		return nil, &CellError{mapName, err}
	}
	return joined, nil
}

// Merge merges the cells as the kind of their field does.
func (k *MapKind) Merge(element []byte, mine, theirs Held) ([]byte, error) {
	in, err := k.cell(element)
	if errors.Is(err, ErrUnknownKind) {
		return nil, err
	}
	var merged []byte
	if err == nil {
		merged, err = in.kind.merge(in.element, mine, theirs)
	}
	if err != nil {
		return nil, &CellError{mapName, err}
	}
	return merged, nil
}

// State returns the state of a cell as the kind of its field keeps it, nil if
// there is none. It may alias cell.
func (k *MapKind) State(element, cell []byte) ([]byte, error) {
	in, err := k.cell(element)
	if err != nil {
		return nil, &CellError{mapName, err}
	}
	if cell == nil {
		return nil, nil
	}
	state, err := in.kind.state(in.element, cell)
	if err != nil {
		return nil, &CellError{mapName, err}
	}
	return state, nil
}

// InField returns the op by which a writer makes w, a write to a cell of the
// map whose op is one of the field's kind. before is the cell as the change
// finds it, and after as what the change has done to it so far leaves it.
func (k *MapKind) InField(w Write, before, after []byte) (Op, error) {
	in, err := k.cell(w.Element)
	if err != nil {
		return Op{}, notInField(err)
	}
	w.Element = in.element
	return in.kind.op(w, before, after)
}

// ResetCell returns the op by which a writer that sees a cell takes away what it
// holds, and whether there is something to take away: if there is in some cell
// of a field, the field is present.
func (k *MapKind) ResetCell(element, cell []byte) (op Op, needed bool, err error) {
	in, err := k.cell(element)
	if err != nil {
		return Op{}, false, &CellError{mapName, err}
	}
	if cell == nil {
		return Op{}, false, nil
	}
	if op, needed, err = in.kind.reset(cell); err != nil {
		err = &CellError{mapName, err}
	}
	return op, needed, err
}

// A cellInField is what the name of a cell says.
type cellInField struct {
	kind    fieldKind
	element []byte // name of the cell within the field
}

// cell reads the name of a cell. The result aliases it.
func (k *MapKind) cell(name []byte) (cellInField, error) {
	if len(name) > MaxElement {
		return cellInField{}, &ValueError{fmt.Sprintf("a field and element of %d bytes, the limit is %d", len(name), MaxElement), nil}
	}
	for range MaxDepth {
		_, kind, rest, err := CutField(name)
		if err != nil {
			return cellInField{}, err
		}
		if name = rest; string(kind) == mapName {
			continue
		}
		known, ok := k.kinds[string(kind)]
		if !ok {
			return cellInField{}, &UnknownKindError{string(kind), k.kinds.Names()}
		}
		return cellInField{fieldKindOf(known), name}, nil
	}
	return cellInField{}, &ValueError{fmt.Sprintf("more than %d maps in each other", MaxDepth), nil}
}

// CutField takes the outermost field off the name of a map's cell: the encoding
// of the field, the name of its kind, and what names the cell within it. All
// alias name. Other names are a [*ValueError].
func CutField(name []byte) (field, kind, rest []byte, err error) {
	s := canonScanner{rest: name}
	s.item(0)
	field, kind = name[:len(name)-len(s.rest)], s.rest
	if s.problem == "" {
		major, length := s.head()
		if kind = s.rest; major != majorText {
			s.fail("no name of a type")
		} else {
			s.chars(major, length)
		}
	}
	if s.problem != "" {
		return nil, nil, nil, &ValueError{"the name of a cell that is not in a field: " + s.problem, nil}
	}
	return field, kind[:len(kind)-len(s.rest)], s.rest, nil
}
