package merge_test

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

func contexts() []*merge.Context { return append(narrowContexts(), wideContexts()...) }

func narrowContexts() []*merge.Context {
	return []*merge.Context{
		{},
		merge.ContextOf(dot(1, 1)),
		merge.ContextOf(dot(1, 3), dot(2, 1), dot(2, 2)),
		merge.ContextOf(dot(1, 1), dot(1, 3), dot(1, 4), dot(1, 900)),
		merge.ContextOf(dot(3, 2), dot(1, merge.MaxSeq)),
		merge.ContextOf(dot(2, 1)),
	}
}

// wideContexts are of so many origins that they are merged as a whole.
func wideContexts() []*merge.Context {
	return []*merge.Context{wide(0, 12, 3), wide(0, 12, 2), wide(6, 20, 2)}
}

// wide returns the context of the seq-th dot of the origins from first to end.
func wide(first, end int, seq uint64) *merge.Context {
	c := &merge.Context{}
	for o := first; o < end; o++ {
		c.Add(dot(o, seq))
	}
	return c
}

func TestContextLaws(t *testing.T) {
	for _, values := range [][]*merge.Context{narrowContexts(), wideContexts()} {
		if err := triples(values, mergetest.Laws[*merge.Context]); err != nil {
			t.Error(err)
		}
	}
}

func TestContextCodec(t *testing.T) {
	for _, c := range contexts() {
		if err := mergetest.Codec(c, merge.DecodeContext); err != nil {
			t.Error(err)
		}
	}
}

func TestDecodeContextRefuses(t *testing.T) {
	a, b := origin(1), origin(2)
	tests := []struct {
		name  string
		bytes []byte
	}{
		{"no bytes", nil},
		{"a count beyond the input", []byte{0xff, 0xff, 0x03}},
		{"an origin without runs", join([]byte{1}, a[:], []byte{0, 0, 0})},
		{"an origin without runs before another", join([]byte{2}, a[:], []byte{0}, b[:], []byte{1, 0, 0x80, 0x80, 0x01})},
		{"runs beyond the input", join([]byte{1}, a[:], []byte{0x7f, 0, 0})},
		{"runs that touch", join([]byte{1}, a[:], []byte{2, 0, 0, 0, 0})},
		{"a first number beyond MaxSeq", join([]byte{1}, a[:], []byte{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0})},
		{"a last number beyond MaxSeq", join([]byte{1}, a[:], []byte{1, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10})},
		{"a gap that wraps around", join([]byte{1}, a[:], []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0})},
		{"a length that wraps around", join([]byte{1}, a[:], []byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})},
		{"overlong number", join([]byte{1}, a[:], []byte{1, 0x80, 0x00, 0})},
		{"origins out of order", join([]byte{2}, b[:], []byte{1, 0, 0}, a[:], []byte{1, 0, 0})},
		{"an origin twice", join([]byte{2}, a[:], []byte{1, 0, 0}, a[:], []byte{1, 5, 0})},
		{"trailing bytes", []byte{0, 0}},
	}
	for _, test := range tests {
		if c, err := merge.DecodeContext(test.bytes); c != nil || !errors.Is(err, merge.ErrFormat) {
			t.Errorf("DecodeContext of %s = %v, %v, want ErrFormat", test.name, c, err)
		}
	}
}

// A gapless context costs what a version vector costs, and a run costs the same
// whatever its length.
func TestContextSize(t *testing.T) {
	c := &merge.Context{}
	for seq := range uint64(1000) {
		c.Add(dot(1, seq+1))
	}
	if b, _ := c.AppendBinary(nil); len(b) != 1+16+1+1+2 {
		t.Errorf("1000 dots without gaps take %d bytes", len(b))
	}
}

func TestContextIgnoresSeqZero(t *testing.T) {
	c := merge.ContextOf(dot(1, 0), dot(1, 2))
	if c.Add(dot(1, 0)) || c.Contains(dot(1, 0)) || c.Count() != 1 {
		t.Errorf("a dot that names nothing is in the context %s", mergetest.Show(c))
	}
	if err := mergetest.Codec(c, merge.DecodeContext); err != nil {
		t.Error(err)
	}
}

func TestContextAtTheEndOfNumbers(t *testing.T) {
	c := merge.ContextOf(dot(1, math.MaxUint64), dot(1, math.MaxUint64-2))
	if !c.Contains(dot(1, math.MaxUint64)) || c.Contains(dot(1, math.MaxUint64-1)) || c.Contains(dot(1, 1)) {
		t.Error("dots at the end of numbers are not kept apart")
	}
	c.Add(dot(1, math.MaxUint64-1))
	if c.Count() != 3 || c.Last(origin(1)) != math.MaxUint64 {
		t.Errorf("Count, Last = %d, %d", c.Count(), c.Last(origin(1)))
	}
	n := 0
	for range c.All() {
		n++
	}
	if n != 3 {
		t.Errorf("All yields %d dots, want 3", n)
	}
}

func TestContextCountSaturates(t *testing.T) {
	c, err := merge.DecodeContext(manyDots(17))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Count(); got != math.MaxUint64 {
		t.Errorf("Count of 17 times 2^60 dots = %d, want the largest", got)
	}
	for range c.All() {
		break // a consumer may stop
	}
}

// manyDots encodes a context with MaxSeq dots of each of n origins.
func manyDots(n int) []byte {
	b := []byte{byte(n)}
	for i := range n {
		o := origin(i)
		b = join(b, o[:], []byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f})
	}
	return b
}

// naive is a context as a set of dots one by one.
type naive map[merge.Dot]bool

func TestContextAgainstNaive(t *testing.T) {
	r := random(t)
	for run := range 90 {
		got, want := &merge.Context{}, naive{}
		origins, limit := []int{1, 3, 30}[run%3], 1+r.Uint64N(30)
		for range 40 {
			contextStep(r, origins, limit, &got, want)
			if err := want.compare(got, origins, limit); err != "" {
				t.Fatalf("%s\ncontext: %s\ndots: %s", err, mergetest.Show(got), mergetest.Show(want))
			}
		}
	}
}

// contextStep does one random thing to both; it replaces got by a clone or by
// what its bytes decode to, which must make no difference.
func contextStep(r *rand.Rand, origins int, limit uint64, got **merge.Context, want naive) {
	d := dot(r.IntN(origins), 1+r.Uint64N(limit))
	switch r.IntN(8) {
	case 0:
		other := &merge.Context{}
		for range r.IntN(40) {
			e := dot(r.IntN(origins), 1+r.Uint64N(limit))
			other.Add(e)
			want[e] = true
		}
		(*got).Merge(other)
	case 1:
		*got = (*got).Clone()
	case 2:
		b, _ := (*got).AppendBinary(nil)
		*got, _ = merge.DecodeContext(b)
	case 3:
		d = (*got).Next(d.Origin)
		fallthrough
	default:
		(*got).Add(d)
		want[d] = true
	}
}

// compare returns where c differs from the set of dots, whose numbers are below
// limit+42, or nothing.
func (n naive) compare(c *merge.Context, origins int, limit uint64) string {
	all := naive{}
	for d := range c.All() {
		all[d] = true
	}
	last, vector, same := map[merge.Origin]uint64{}, &merge.VersionVector{}, &merge.Context{}
	for o := range origins {
		for seq := range limit + 42 {
			d := dot(o, seq)
			if c.Contains(d) != n[d] {
				return "Contains differs at " + d.String()
			}
			if n[d] {
				last[origin(o)] = seq
				same.Add(d)
			}
			if n[d] && seq == vector.Get(origin(o))+1 {
				vector.Raise(d)
			}
		}
	}
	switch {
	case !maps.Equal(all, n):
		return "All differs"
	case c.Count() != uint64(len(n)):
		return "Count differs"
	case !slices.IsSortedFunc(c.Origins(), merge.Origin.Compare) || len(c.Origins()) != len(last):
		return "Origins differ"
	case !c.Vector().Equal(vector):
		return "Vector differs"
	case !c.Equal(same) || same.Merge(c):
		return "Equal or Merge differs from a context of the same dots"
	}
	for o, seq := range last {
		if c.Last(o) != seq || c.Next(o) != (merge.Dot{Origin: o, Seq: seq + 1}) {
			return "Last or Next differs"
		}
	}
	return ""
}

func TestContextChangedAgainstNaive(t *testing.T) {
	r := random(t)
	for range 2000 {
		a, b, union := &merge.Context{}, &merge.Context{}, naive{}
		for range r.IntN(12) {
			d := dot(r.IntN(2), 1+r.Uint64N(12))
			if a.Add(d) == union[d] {
				t.Fatalf("Add(%v) misreports a change", d)
			}
			union[d] = true
		}
		before := len(union)
		for range r.IntN(12) {
			d := dot(r.IntN(2), 1+r.Uint64N(12))
			b.Add(d)
			union[d] = true
		}
		if got, want := a.Merge(b), len(union) > before; got != want {
			t.Fatalf("Merge reports %t, want %t", got, want)
		}
	}
}
