package crdt

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Placed is an op and the name of the cell it is for, within its object.
type Placed struct {
	Element []byte
	Op      Op
}

// A Mover is a kind of which some cells count what one origin did. Writes of
// those cannot be repeated under another origin as they are.
type Mover interface {
	Kind
	// Move returns the writes by which to does what w, a write of w.Dot.Origin,
	// did. cell returns the cells of the object as they are without w and
	// without what came after it, and before anything was moved.
	Move(w Write, to merge.Origin, cell func(element []byte) ([]byte, error)) ([]Placed, error)
}

// Move returns the writes of kind k by which the origin to does what w did under
// another: w as it is, unless k is a [Mover]. A branch of changes that was
// written under dots that name other changes is so written again.
func Move(k Kind, w Write, to merge.Origin, cell func(element []byte) ([]byte, error)) ([]Placed, error) {
	if m, ok := k.(Mover); ok {
		return m.Move(w, to, cell)
	}
	return []Placed{{w.Element, w.Op}}, nil
}

// Move gives what the writer's share has grown by to the share of to. What a
// reset took of the share that stays is taken there.
func (k lattice[L, P]) Move(w Write, to merge.Origin, cell func([]byte) ([]byte, error)) ([]Placed, error) {
	if k.name != PNCounterKind.Name() || string(w.Element) != string(w.Dot.Origin[:]) {
		return []Placed{{w.Element, w.Op}}, nil
	}
	write, err := decodeShare(w.Payload)
	if err != nil {
		return nil, &WriteError{k.name, err.Error()}
	}
	stays, mine, err := twoCells(w, to, cell, DecodeShare)
	if err != nil {
		return nil, err
	}
	grown := Share{
		mine.P + beyond(write.P, stays.P), mine.N + beyond(write.N, stays.N),
		mine.PBase + beyond(write.PBase, stays.P), mine.NBase + beyond(write.NBase, stays.N),
	}
	reset := Share{stays.P, stays.N, max(stays.PBase, min(write.PBase, stays.P)), max(stays.NBase, min(write.NBase, stays.N))}
	var out []Placed
	if reset != stays {
		b, _ := reset.AppendBinary(nil) // never fails
		out = append(out, Placed{w.Element, Op{Put: true, Payload: b}})
	}
	b, _ := grown.AppendBinary(nil)
	return append(out, Placed{to[:], Op{Put: true, Payload: b}}), nil
}

// Move gives what the writer's own cell has grown by to the cell of to.
func (k ownLattice[L, P]) Move(w Write, to merge.Origin, cell func([]byte) ([]byte, error)) ([]Placed, error) {
	var b []byte
	switch k.name {
	case GCounterKind.Name():
		write, err := decodeTotal(w.Payload)
		if err != nil {
			return nil, &WriteError{k.name, err.Error()}
		}
		stays, mine, err := twoCells(w, to, cell, DecodeTotal)
		if err != nil {
			return nil, err
		}
		mine += write - min(write, stays)
		b, _ = mine.AppendBinary(nil)
	case BoundedKind.Name():
		write, err := decodeAccount(w.Payload)
		if err != nil {
			return nil, &WriteError{k.name, err.Error()}
		}
		stays, mine, err := twoCells(w, to, cell, DecodeAccount)
		if err != nil {
			return nil, err
		}
		moved := mine.grownLike(&write, &stays)
		b, _ = moved.AppendBinary(nil)
	default:
		return []Placed{{w.Element, w.Op}}, nil
	}
	return []Placed{{to[:], Op{Put: true, Payload: b}}}, nil
}

// grownLike returns the account after it did what turned before into after.
func (a *Account) grownLike(after, before *Account) *Account {
	out := a.Clone()
	out.Created += after.Created - min(after.Created, before.Created)
	out.Spent += after.Spent - min(after.Spent, before.Spent)
	for origin, n := range after.Given.All() {
		given := before.to(origin)
		out.Given.Raise(origin, out.to(origin)+*n-min(*n, given))
	}
	return out
}

// beyond returns how much n is above limit.
func beyond(n, limit uint64) uint64 { return n - min(n, limit) }

// twoCells reads the cell of the writer and that of the origin to.
func twoCells[L any](w Write, to merge.Origin, cell func([]byte) ([]byte, error), decode func([]byte) (L, error)) (writer, other L, err error) {
	read := func(o merge.Origin) (v L) {
		var b []byte
		if err == nil {
			b, err = cell(o[:])
		}
		if err == nil {
			v, err = decode(b)
		}
		return v
	}
	writer, other = read(w.Dot.Origin), read(to)
	return writer, other, err
}

// A fieldMover is what a [Mover] is in a field of a map.
type fieldMover interface {
	move(w Write, to merge.Origin, cell func(element []byte) ([]byte, error)) ([]Placed, error)
}

// Move moves a write to a field as the kind of the field does.
func (k *MapKind) Move(w Write, to merge.Origin, cell func([]byte) ([]byte, error)) ([]Placed, error) {
	in, err := k.cell(w.Element)
	if err != nil {
		return nil, notInField(err)
	}
	field := w.Element[:len(w.Element)-len(in.element)]
	name := func(element []byte) []byte { return slices.Concat(field, element) }
	within := func(e []byte) ([]byte, error) { return cell(name(e)) }
	var out []Placed
	switch kind := in.kind.(type) {
	case fieldMover:
		w.Element = in.element
		out, err = kind.move(w, to, within)
	case asItIs:
		w.Element = in.element
		out, err = Move(bare(kind.kind), w, to, within)
	default:
		return []Placed{{w.Element, w.Op}}, nil
	}
	for i := range out {
		out[i].Element = name(out[i].Element)
	}
	return out, err
}
