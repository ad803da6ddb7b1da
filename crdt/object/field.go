package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// fieldReader reads the cells of a map that are in one field, as the kind of the
// field knows them.
type fieldReader struct {
	object Reader
	prefix string
	maps   *crdt.MapKind
}

func (f fieldReader) Cell(element string) ([]byte, error) {
	name := f.prefix + element
	cell, err := f.object.Cell(name)
	if err != nil || cell == nil {
		return nil, err
	}
	return f.maps.State([]byte(name), cell)
}

func (f fieldReader) Cells(prefix string) iter.Seq2[Cell, error] {
	return func(yield func(Cell, error) bool) {
		for c, err := range f.object.Cells(f.prefix + prefix) {
			if err == nil {
				c.State, err = f.maps.State([]byte(c.Element), c.State)
			}
			if err != nil {
				yield(Cell{}, err)
				return
			}
			c.Element = c.Element[len(f.prefix):]
			if !yield(c, nil) {
				return
			}
		}
	}
}

// fieldWriter writes the cells of a map that are in one field.
type fieldWriter struct {
	Writer
	field fieldReader
}

func (f fieldWriter) Cell(element string) ([]byte, error) {
	state, err := f.field.Cell(element)
	return state, f.failed(err)
}

func (f fieldWriter) Cells(prefix string) iter.Seq2[Cell, error] {
	return func(yield func(Cell, error) bool) {
		for c, err := range f.field.Cells(prefix) {
			if !yield(c, f.failed(err)) {
				return
			}
		}
	}
}

func (f fieldWriter) Before(element string) ([]byte, error) {
	name := f.field.prefix + element
	cell, err := f.Writer.Before(name)
	if err != nil || cell == nil {
		return nil, err
	}
	state, err := f.field.maps.State([]byte(name), cell)
	return state, f.failed(err)
}

func (f fieldWriter) Write(element string, op crdt.Op) error {
	name := f.field.prefix + element
	before, err := f.Writer.Before(name)
	if err != nil {
		return err
	}
	after, err := f.Writer.Cell(name)
	if err != nil {
		return err
	}
	w := crdt.Write{Dot: f.Dot(), Time: f.Time(), Element: []byte(name), Op: op}
	if op, err = f.field.maps.InField(w, before, after); err != nil {
		return f.Fail(err)
	}
	return f.Writer.Write(name, op)
}

// survives reports whether writing again what is there already has an effect: in
// the field of a map it does, since it survives a removal of the field at the
// same time.
func survives(w Writer) bool {
	_, ok := w.(fieldWriter)
	return ok
}

// failed makes the transaction fail with err, if there is one.
func (f fieldWriter) failed(err error) error {
	if err == nil {
		return nil
	}
	return f.Fail(err)
}

// noField reads a field whose name cannot be one.
type noField struct{ err error }

func (n noField) Cell(string) ([]byte, error) { return nil, n.err }

func (n noField) Cells(string) iter.Seq2[Cell, error] {
	return func(yield func(Cell, error) bool) { yield(Cell{}, n.err) }
}

// noFieldWriter makes the transaction fail that uses such a field.
type noFieldWriter struct {
	Writer
	field noField
}

func (n noFieldWriter) Cell(string) ([]byte, error) { return nil, n.Fail(n.field.err) }

func (n noFieldWriter) Cells(prefix string) iter.Seq2[Cell, error] {
	_ = n.Fail(n.field.err)
	return n.field.Cells(prefix)
}

func (n noFieldWriter) Before(string) ([]byte, error) { return nil, n.Fail(n.field.err) }

func (n noFieldWriter) Write(string, crdt.Op) error { return n.Fail(n.field.err) }
