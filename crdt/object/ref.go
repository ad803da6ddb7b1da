package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// A Ref refers to an object of a space or to a field of a map. Typed references
// embed one.
type Ref struct {
	key    string
	kind   string // of the object that holds the cells
	prefix string // of its cells; not empty in a field of a map
}

// NewRef refers to the object of that key and kind.
func NewRef(key, kind string) Ref { return Ref{key: key, kind: kind} }

// Object returns the object of the space that holds the cells: of a field, the
// outermost map.
func (r Ref) Object() Object { return Object{r.key, r.kind} }

// Reader returns what the reference names, to be read.
func (r Ref) Reader(s Space) Reader {
	o := s.Reader(r.key, r.kind)
	if r.prefix == "" {
		return o
	}
	return fieldReader{o, r.prefix}
}

// Writer returns what the reference names, to be written.
func (r Ref) Writer(tx Tx) Writer {
	o := tx.Writer(r.key, r.kind)
	if r.prefix == "" {
		return o
	}
	return fieldWriter{o, r.prefix}
}

// fieldReader reads the cells of an object that share a prefix, without it.
type fieldReader struct {
	object Reader
	prefix string
}

func (f fieldReader) Cell(element string) ([]byte, error) { return f.object.Cell(f.prefix + element) }

func (f fieldReader) Cells(prefix string) iter.Seq2[Cell, error] {
	return cellsWithin(f.object, f.prefix, prefix)
}

// fieldWriter writes the cells of an object that share a prefix.
type fieldWriter struct {
	Writer
	prefix string
}

func (f fieldWriter) Cell(element string) ([]byte, error) { return f.Writer.Cell(f.prefix + element) }

func (f fieldWriter) Cells(prefix string) iter.Seq2[Cell, error] {
	return cellsWithin(f.Writer, f.prefix, prefix)
}

func (f fieldWriter) Before(element string) ([]byte, error) {
	return f.Writer.Before(f.prefix + element)
}

func (f fieldWriter) Write(element string, op crdt.Op) error {
	return f.Writer.Write(f.prefix+element, op)
}

// cellsWithin yields the cells of a field, named as in the field.
func cellsWithin(o Reader, field, prefix string) iter.Seq2[Cell, error] {
	return func(yield func(Cell, error) bool) {
		for c, err := range o.Cells(field + prefix) {
			if err == nil {
				c.Element = c.Element[len(field):]
			}
			if !yield(c, err) {
				return
			}
		}
	}
}
