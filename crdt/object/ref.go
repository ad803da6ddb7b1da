package object

import (
	"github.com/joinery-crdt/joinery/crdt"
)

// A Ref refers to an object of a space or to a field of a map. Typed references
// embed one.
type Ref struct {
	key    string
	kind   string // of the object that holds the cells
	prefix string // of its cells; not empty in a field of a map

	maps *crdt.MapKind // of the map that the field is in
	err  error         // why there is no such field
}

// NewRef refers to the object of that key and kind.
func NewRef(key, kind string) Ref { return Ref{key: key, kind: kind} }

// Object returns the object of the space that holds the cells: of a field, the
// outermost map.
func (r Ref) Object() Object { return Object{r.key, r.kind} }

// Reader returns what the reference names, to be read.
func (r Ref) Reader(s Space) Reader {
	o := s.Reader(r.key, r.kind)
	switch {
	case r.err != nil:
		return noField{r.err}
	case r.prefix == "":
		return o
	}
	return fieldReader{o, r.prefix, r.maps}
}

// Writer returns what the reference names, to be written.
func (r Ref) Writer(tx Tx) Writer {
	o := tx.Writer(r.key, r.kind)
	switch {
	case r.err != nil:
		return noFieldWriter{o, noField{r.err}}
	case r.prefix == "":
		return o
	}
	return fieldWriter{o, fieldReader{o, r.prefix, r.maps}}
}
