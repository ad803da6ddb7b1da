package mergetest

import (
	"bytes"
	"encoding"
	"reflect"

	"github.com/joinery-crdt/joinery/merge"
)

// Laws returns a [*LawError] unless the three values, in all six orders, keep
// every law of [merge.Lattice] that is listed with [Law]. Types that implement
// [encoding.BinaryAppender] or [encoding.BinaryMarshaler] are held to Canonical
// too. A broken law is reported under the first of the listed names that shows
// it.
//
// Laws works on clones and does not modify its arguments, unless Clone or Merge
// is what is broken.
func Laws[L merge.Lattice[L]](a, b, c L) error {
	laws := []func(a, b, c L) error{
		equivalence[L], cloning[L], argument[L], aliasing[L], changed[L],
		commutative[L], associative[L], idempotent[L], bottom[L], monotone[L],
		canonical[L],
	}
	for _, law := range laws {
		if err := inAllOrders(law, a, b, c); err != nil {
			return err
		}
	}
	return nil
}

func inAllOrders[L any](law func(a, b, c L) error, a, b, c L) error {
	for _, v := range [][3]L{{a, b, c}, {b, c, a}, {c, a, b}, {b, a, c}, {a, c, b}, {c, b, a}} {
		if err := law(v[0], v[1], v[2]); err != nil {
			return err
		}
	}
	return nil
}

// zero returns the bottom of L: the zero value, or a pointer to one.
func zero[L any]() (bottom L) {
	if t := reflect.TypeFor[L](); t.Kind() == reflect.Pointer {
		return reflect.New(t.Elem()).Interface().(L)
	}
	return bottom
}

// join returns the least upper bound as a value of its own.
func join[L merge.Lattice[L]](values ...L) L {
	j := values[0].Clone()
	for _, v := range values[1:] {
		j.Merge(v)
	}
	return j
}

func equivalence[L merge.Lattice[L]](a, b, c L) error {
	switch {
	case !a.Equal(a):
		return breach[L](Equivalence, "a", a, "a.Equal(a)", false)
	case a.Equal(b) != b.Equal(a):
		return breach[L](Equivalence, "a", a, "b", b, "a.Equal(b)", a.Equal(b), "b.Equal(a)", b.Equal(a))
	case a.Equal(b) && b.Equal(c) && !a.Equal(c):
		return breach[L](Equivalence, "a", a, "b", b, "c", c, "a.Equal(c)", false)
	}
	return nil
}

func cloning[L merge.Lattice[L]](a, b, c L) error {
	if x := a.Clone(); !x.Equal(a) || !a.Equal(x) {
		return breach[L](Cloning, "a", a, "a.Clone()", x)
	}
	before, x := Show(a), a.Clone()
	x.Merge(b.Clone())
	x.Merge(c.Clone())
	if Show(a) != before {
		return breach[L](Cloning, "a", verbatim(before), "b", b, "c", c, "a after merging b, c into its clone", a)
	}
	x = a.Clone()
	y := x.Clone()
	x.Merge(b.Clone())
	x.Merge(c.Clone())
	if Show(y) != before {
		return breach[L](Cloning, "a", a, "b", b, "c", c, "clone of a after merging b, c into a", y)
	}
	return nil
}

func argument[L merge.Lattice[L]](a, b, _ L) error {
	for _, into := range []L{zero[L](), a} {
		from := b.Clone()
		before := Show(from)
		join(into, from)
		if Show(from) != before {
			return breach[L](Argument, "a", into, "b", b, "b after a.Merge(b)", from)
		}
	}
	return nil
}

func aliasing[L merge.Lattice[L]](a, b, c L) error {
	for _, into := range []L{zero[L](), a} {
		x, from := into.Clone(), b.Clone()
		x.Merge(from)
		before := Show(from)
		x.Merge(c)
		if Show(from) != before {
			return breach[L](Aliasing, "a", into, "b", b, "c", c, "b after a.Merge(b), a.Merge(c)", from)
		}
		x = join(into, from)
		before = Show(x)
		from.Merge(c)
		if Show(x) != before {
			return breach[L](Aliasing, "a", into, "b", b, "c", c, "a after a.Merge(b), b.Merge(c)", x)
		}
	}
	return nil
}

func changed[L merge.Lattice[L]](a, b, _ L) error {
	for _, into := range []L{zero[L](), a, join(a, b)} {
		x := into.Clone()
		if said := x.Merge(b); said == x.Equal(into) {
			return breach[L](Changed, "a", into, "b", b, "a after a.Merge(b)", x, "a.Merge(b)", said)
		}
	}
	return nil
}

func commutative[L merge.Lattice[L]](a, b, _ L) error {
	ab, ba := join(a, b), join(b, a)
	if !ab.Equal(ba) {
		return breach[L](Commutative, "a", a, "b", b, "a ⊔ b", ab, "b ⊔ a", ba)
	}
	return nil
}

func associative[L merge.Lattice[L]](a, b, c L) error {
	left, right := join(join(a, b), c), join(a, join(b, c))
	if !left.Equal(right) {
		return breach[L](Associative, "a", a, "b", b, "c", c, "(a ⊔ b) ⊔ c", left, "a ⊔ (b ⊔ c)", right)
	}
	return nil
}

func idempotent[L merge.Lattice[L]](a, _, _ L) error {
	if aa := join(a, a.Clone()); !aa.Equal(a) {
		return breach[L](Idempotent, "a", a, "a ⊔ a", aa)
	}
	return nil
}

func bottom[L merge.Lattice[L]](a, _, _ L) error {
	zero := zero[L]()
	if x := join(a, zero); !x.Equal(a) {
		return breach[L](Bottom, "a", a, "a ⊔ ⊥", x)
	}
	if x := join(zero, a); !x.Equal(a) {
		return breach[L](Bottom, "a", a, "⊥ ⊔ a", x)
	}
	return nil
}

func monotone[L merge.Lattice[L]](a, b, _ L) error {
	ab := join(a, b)
	for _, part := range []L{a, b} {
		if x := join(ab, part); !x.Equal(ab) {
			return breach[L](Monotone, "a", a, "b", b, "a ⊔ b", ab, "part", part, "(a ⊔ b) ⊔ part", x)
		}
	}
	return nil
}

func canonical[L merge.Lattice[L]](a, b, c L) error {
	values := []L{zero[L](), a, a.Clone(), b, c, join(a, b), join(b, a), join(a, b, c), join(c, b, a)}
	for _, x := range values {
		for _, y := range values {
			if err := sameBytes(x, y); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameBytes returns a breach of Canonical unless two values, if they can be
// encoded, have equal bytes exactly when they are equal.
func sameBytes[L merge.Lattice[L]](a, b L) error {
	left, ok, err := encode(a)
	if !ok {
		return nil
	}
	if err != nil {
		return breach[L](Canonical, "a", a, "error of its encoding", err)
	}
	right, _, err := encode(b)
	if err != nil {
		return breach[L](Canonical, "b", b, "error of its encoding", err)
	}
	if bytes.Equal(left, right) != a.Equal(b) {
		return breach[L](Canonical, "a", a, "b", b, "a.Equal(b)", a.Equal(b), "bytes of a", left, "bytes of b", right)
	}
	return nil
}

// encode returns the binary form of v and whether it has one.
func encode(v any) (b []byte, ok bool, err error) {
	switch v := v.(type) {
	case encoding.BinaryAppender:
		b, err = v.AppendBinary(nil)
	case encoding.BinaryMarshaler:
		b, err = v.MarshalBinary()
	default:
		return nil, false, nil
	}
	return b, true, err
}
