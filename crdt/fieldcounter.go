package crdt

import (
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// A remnant is the cell of a counter in a field of a map: all that its origin
// did, and how much of it the removals of the field have seen. Both only grow.
type remnant[V any, P tally[V]] struct{ all, gone V }

// left returns what still counts.
func (c *remnant[V, P]) left() P {
	left := P(P(&c.all).Clone())
	left.minus(&c.gone)
	return left
}

// Merge joins both parts.
func (c *remnant[V, P]) Merge(from *remnant[V, P]) bool {
	changed := P(&c.all).Merge(&from.all)
	return P(&c.gone).Merge(&from.gone) || changed
}

// Equal reports whether both parts are equal.
func (c *remnant[V, P]) Equal(o *remnant[V, P]) bool {
	return P(&c.all).Equal(&o.all) && P(&c.gone).Equal(&o.gone)
}

// Clone returns a copy that shares nothing with the receiver.
func (c *remnant[V, P]) Clone() *remnant[V, P] {
	return &remnant[V, P]{*P(&c.all).Clone(), *P(&c.gone).Clone()}
}

// AppendBinary appends the one as a byte string, and then the other, of which
// there are no bytes if it is nothing.
func (c *remnant[V, P]) AppendBinary(dst []byte) ([]byte, error) {
	all, err := P(&c.all).AppendBinary(nil)
	if dst = varint.AppendBytes(dst, all); err != nil || P(&c.gone).Equal(new(V)) {
		return dst, err
	}
	return P(&c.gone).AppendBinary(dst)
}

// decodeRemnant returns the decoder of remnants of what decode decodes.
func decodeRemnant[V any, P tally[V]](decode func([]byte) (V, error)) func([]byte) (remnant[V, P], error) {
	return func(b []byte) (c remnant[V, P], err error) {
		r := varint.NewReader("crdt: counter in a field", b)
		if c.all, err = decode(r.Bytes()); err != nil {
			return c, err
		}
		if gone := r.Fixed(r.Len()); len(gone) > 0 {
			c.gone, err = decode(gone)
		}
		if P(P(&c.all).Clone()).Merge(&c.gone) {
			r.Fail("more is gone than there was")
		}
		if err != nil {
			return c, err
		}
		return c, r.Done()
	}
}

// A counterField keeps the cells of a counter whose origins write one each, as
// remnants. Removals leave them behind.
type counterField[V any, P tally[V]] struct {
	lattice[remnant[V, P], *remnant[V, P]]
	part func([]byte) (V, error) // decodes the cell of the counter itself
}

func newCounterField[V any, P tally[V]](k lattice[V, P]) *counterField[V, P] {
	return &counterField[V, P]{lattice[remnant[V, P], *remnant[V, P]]{k.name, k.element, decodeRemnant[V, P](k.decode)}, k.decode}
}

// check accepts what the origin of the cell does, and of others that they take
// away what they see.
func (f *counterField[V, P]) check(w Write) error {
	if err := f.Check(w); err != nil {
		return err
	}
	c, err := f.decode(w.Payload)
	if err != nil {
		return err
	}
	if string(w.Element) != string(w.Dot.Origin[:]) && !P(&c.all).Equal(&c.gone) {
		return &WriteError{f.name, "an origin's cell is written by that origin alone, but for what removals have seen of it"}
	}
	return nil
}

func (f *counterField[V, P]) join(cell []byte, seen merge.Dots, w Write) ([]byte, error) {
	return f.Join(cell, seen, w)
}

func (f *counterField[V, P]) merge(element []byte, mine, theirs Held) ([]byte, error) {
	return f.Merge(element, mine, theirs)
}

func (f *counterField[V, P]) state(_, cell []byte) ([]byte, error) {
	c, err := f.decode(cell)
	if err != nil {
		return nil, err
	}
	left := c.left()
	if left.Equal(new(V)) {
		return nil, nil
	}
	return left.AppendBinary(nil)
}

// op puts what is gone below what the origin has come to since.
func (f *counterField[V, P]) op(w Write, _, after []byte) (Op, error) {
	if !w.Put {
		return w.Op, nil
	}
	var c remnant[V, P]
	var err error
	if after != nil {
		if c, err = f.decode(after); err != nil {
			return Op{}, err
		}
	}
	if c.all, err = f.part(w.Payload); err != nil {
		return Op{}, err
	}
	if err := P(&c.all).plus(&c.gone); err != nil {
		return Op{}, err
	}
	payload, err := c.AppendBinary(nil)
	return Op{Put: true, Payload: payload}, err
}

func (f *counterField[V, P]) reset(cell []byte) (op Op, needed bool, err error) {
	c, err := f.decode(cell)
	if err != nil || P(&c.all).Equal(&c.gone) {
		return Op{}, false, err
	}
	c.gone = c.all
	payload, err := c.AppendBinary(nil)
	return Op{Put: true, Payload: payload}, true, err
}
