package object

import (
	"cmp"
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
)

// An ORMap refers to a map whose fields hold objects of any kind, maps included,
// which [At] refers to. A field is present while something in it is; removing it
// resets what the transaction sees, and what others write into it at the same
// time survives. K is encoded as canonical CBOR; equal encodings are equal
// fields.
type ORMap[K any] struct{ Ref }

var builtinMaps = crdt.NewMapKind(crdt.Builtin())

// NewORMap refers to the map under key.
func NewORMap[K any](key string) ORMap[K] { return NewORMapOf[K](key, builtinMaps) }

// NewORMapOf refers to the map under key, whose fields may be of kinds that are
// not of package crdt: kind is that of the space, [crdt.Kinds] has it as
// "ormap".
func NewORMapOf[K any](key string, kind *crdt.MapKind) ORMap[K] {
	ref := NewRef(key, kind.Name())
	ref.maps = kind
	return ORMap[K]{ref}
}

// A reference is what every typed reference is: it embeds a Ref.
type reference[R any] interface {
	*R
	within(m Ref, field any)
}

// At refers to what a field of a map holds, as an object of the type whose
// constructor is given:
//
//	items := object.At(cart, "items", object.NewORSet[string])
//
// A field that has no encoding makes every use of the reference fail with a
// [*crdt.ValueError].
func At[K, R any, P reference[R]](m ORMap[K], field K, construct func(key string) R) R {
	ref := construct(m.key)
	P(&ref).within(m.Ref, field)
	return ref
}

// within moves the reference into a field of a map.
func (r *Ref) within(m Ref, field any) {
	prefix, err := crdt.AppendField([]byte(m.prefix), field, r.kind)
	*r = Ref{m.key, m.kind, string(prefix), m.maps, cmp.Or(m.err, err)}
}

// fieldPrefix returns what the names of all cells of a field begin with.
func (m ORMap[K]) fieldPrefix(field K) (string, error) {
	b, err := crdt.EncodeElement(field)
	return m.prefix + string(b), cmp.Or(m.err, err)
}

// Has reports whether a field is present.
func (m ORMap[K]) Has(s Space, field K) (bool, error) {
	prefix, err := m.fieldPrefix(field)
	if err != nil {
		return false, err
	}
	for _, err := range m.present(s, prefix) {
		return err == nil, err
	}
	return false, nil
}

// Keys yields the fields that are present in the order of their encodings. It
// yields at most one error, last. It visits every cell of the map.
func (m ORMap[K]) Keys(s Space) iter.Seq2[K, error] {
	return func(yield func(K, error) bool) {
		last := ""
		for name, err := range m.present(s, m.prefix) {
			var field K
			var b []byte
			if err == nil {
				b, _, _, err = crdt.CutField([]byte(name[len(m.prefix):]))
			}
			if err == nil && string(b) == last {
				continue
			}
			if err == nil {
				field, err = crdt.DecodeValue[K](b)
			}
			if !yield(field, err) || err != nil {
				return
			}
			last = string(b)
		}
	}
}

// Len returns the number of fields that are present. It visits every cell of the
// map.
func (m ORMap[K]) Len(s Space) (int, error) { return count(m.Keys(s)) }

// present yields the names of the cells that begin with prefix and make their
// field present.
func (m ORMap[K]) present(s Space, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if m.err != nil {
			yield("", m.err)
			return
		}
		for c, err := range s.Reader(m.key, m.kind).Cells(prefix) {
			needed := false
			if err == nil {
				_, needed, err = m.maps.ResetCell([]byte(c.Element), c.State)
			}
			if err == nil && !needed {
				continue
			}
			if !yield(c.Element, err) || err != nil {
				return
			}
		}
	}
}

// Remove takes away what the transaction sees in a field, whatever is in it. It
// visits the cells of the field.
func (m ORMap[K]) Remove(tx Tx, field K) error {
	w := tx.Writer(m.key, m.kind)
	prefix, err := m.fieldPrefix(field)
	if err != nil {
		return w.Fail(err)
	}
	var names []string
	for c, err := range w.Cells(prefix) {
		if err != nil {
			return err
		}
		names = append(names, c.Element)
	}
	for _, name := range names {
		if err := m.reset(w, name); err != nil {
			return err
		}
	}
	return nil
}

// reset takes away what a cell held before the transaction, and takes back what
// the transaction has written to it.
func (m ORMap[K]) reset(w Writer, name string) error {
	before, err := w.Before(name)
	if err != nil {
		return err
	}
	op, needed, err := m.maps.ResetCell([]byte(name), before)
	if err != nil {
		return w.Fail(err)
	}
	if !needed {
		op = crdt.Op{}
	}
	return w.Write(name, op)
}
