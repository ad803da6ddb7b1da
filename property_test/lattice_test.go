package property_test

import (
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/prop"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// holdsLaws checks the laws of a lattice over three generated values, and those
// of a delta by taking two of them for deltas to the third.
func holdsLaws[L merge.Lattice[L]](t *testing.T, size int, values gopter.Gen) {
	t.Helper()
	check(t, size, prop.ForAll(func(a, b, c L) string {
		if err := mergetest.Laws(a, b, c); err != nil {
			return err.Error()
		}
		return text(mergetest.Orders(a, b, c))
	}, values, values, values))
}

func holdsChain[L merge.Chain[L]](t *testing.T, values gopter.Gen) {
	t.Helper()
	check(t, 10, prop.ForAll(func(a, b, c L) string {
		return text(mergetest.Chain(a, b, c))
	}, values, values, values))
}

func holdsCodec[V interface{ Equal(V) bool }](t *testing.T, values gopter.Gen, decode func([]byte) (V, error)) {
	t.Helper()
	check(t, 40, prop.ForAll(func(v V) string { return text(mergetest.Codec(v, decode)) }, values))
}

func TestMax(t *testing.T) {
	holdsLaws[*highest](t, 10, genHighest())
	holdsChain[*highest](t, genHighest())
}

func TestMin(t *testing.T) {
	holdsLaws[*lowest](t, 10, genLowest())
	holdsChain[*lowest](t, genLowest())
}

func TestPair(t *testing.T) { holdsLaws[*pair](t, 10, genPair()) }
func TestLex(t *testing.T)  { holdsLaws[*lex](t, 10, genLex()) }

type totals = merge.ByOrigin[highest, *highest]

func TestByOrigin(t *testing.T) { holdsLaws[*totals](t, 6, genTotals()) }

func TestMap(t *testing.T)    { holdsLaws[*mapping](t, 6, genMapping()) }
func TestNested(t *testing.T) { holdsLaws[*nested](t, 4, genNested()) }

func TestLexOfChains(t *testing.T) { holdsLaws[*chain](t, 10, genChain()) }

func TestVersionVector(t *testing.T) {
	holdsLaws[*merge.VersionVector](t, 10, vector())
	holdsCodec(t, vector(), merge.DecodeVector)
}

func TestContext(t *testing.T) {
	holdsLaws[*merge.Context](t, 30, context())
	holdsLaws[*merge.Context](t, 60, wideContext())
	holdsCodec(t, context(), merge.DecodeContext)
}

// A context holds the dots that it was built of, and says so in all its ways.
func TestContextIsASet(t *testing.T) {
	check(t, 40, prop.ForAll(func(of []merge.Dot, c *merge.Context) string {
		set := map[merge.Dot]bool{}
		for _, d := range of {
			set[d] = true
		}
		got := merge.ContextOf(of...)
		if got.Count() != uint64(len(set)) {
			return "Count is not the number of dots"
		}
		for d := range c.All() {
			if got.Contains(d) != set[d] {
				return "Contains differs at " + d.String()
			}
			if got.Vector().Contains(d) && !set[d] {
				return "Vector closes a gap at " + d.String()
			}
		}
		for d := range set {
			if !got.Contains(d) || got.Last(d.Origin) < d.Seq {
				return "lacks " + d.String()
			}
		}
		return ""
	}, dots(), context()))
}

// A vector is the contexts without gaps: joins of both agree.
func TestVectorAndContextAgree(t *testing.T) {
	check(t, 10, prop.ForAll(func(a, b *merge.VersionVector) string {
		c := merge.Context{}
		c.Merge(prefixes(a))
		c.Merge(prefixes(b))
		v := a.Clone()
		v.Merge(b)
		if !c.Vector().Equal(v) || !v.Covers(a) || !v.Covers(b) || a.Covers(v) != a.Equal(v) {
			return "the join is " + mergetest.Show(v) + ", as contexts " + mergetest.Show(c.Vector())
		}
		return ""
	}, vector(), vector()))
}

// prefixes returns all dots of v.
func prefixes(v *merge.VersionVector) *merge.Context {
	c := &merge.Context{}
	for d := range v.Heads() {
		for seq := range d.Seq {
			c.Add(merge.Dot{Origin: d.Origin, Seq: seq + 1})
		}
	}
	return c
}
