package object

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// A presence tells from the cell of an element whether it is in its set.
type presence func(cell []byte) (bool, error)

// isThere is the presence of sets whose cells are there for what they hold.
func isThere(cell []byte) (bool, error) { return cell != nil, nil }

// hasElement reports whether v is in the set.
func hasElement[T any](r Reader, v T, present presence) (bool, error) {
	b, err := crdt.EncodeElement(v)
	if err != nil {
		return false, err
	}
	cell, err := r.Cell(string(b))
	if err != nil {
		return false, err
	}
	return present(cell)
}

// allElements yields the elements of a set in the order of their encodings, and
// at most one error, last.
func allElements[T any](r Reader, present presence) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for c, err := range r.Cells("") {
			v, in, err := readElement[T](c, err, present)
			if err != nil {
				yield(v, err)
				return
			}
			if in && !yield(v, nil) {
				return
			}
		}
	}
}

func readElement[T any](c Cell, err error, present presence) (v T, in bool, _ error) {
	if err != nil {
		return v, false, err
	}
	if in, err = present(c.State); err != nil || !in {
		return v, false, err
	}
	v, err = crdt.DecodeValue[T]([]byte(c.Element))
	return v, true, err
}

// count returns the length of a sequence that may fail.
func count[T any](all iter.Seq2[T, error]) (n int, err error) {
	for _, err := range all {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// writeElement encodes v, which names a cell, and hands it to write.
func writeElement[T any](w Writer, v T, write func(w Writer, element string) error) error {
	b, err := crdt.EncodeElement(v)
	if err != nil {
		return w.Fail(err)
	}
	return write(w, string(b))
}

// supersede writes over what a cell of a causal kind held before the
// transaction. A removal of nothing is not written, and takes back what the
// transaction wrote.
func supersede(w Writer, element string, put bool, payload []byte) error {
	before, err := w.Before(element)
	if err != nil {
		return err
	}
	op, err := crdt.Supersede(before, put, payload)
	if err != nil {
		return w.Fail(err)
	}
	return w.Write(element, op)
}
