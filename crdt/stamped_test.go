package crdt_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// ok returns the delta of a mutator that must not fail.
func ok[V any](t testing.TB) func(V, error) V {
	return func(delta V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return delta
	}
}

func stamp(at uint64, o merge.Origin) crdt.Stamp { return crdt.Stamp{Time: hlcTime(at), Origin: o} }

// stampedGoldens returns the values behind testdata/golden.txt of the sets and
// maps that are written with times, counts, or once.
func stampedGoldens(t testing.TB) map[string]decodable {
	var u, remote crdt.USet[string]
	ok[*crdt.USet[string]](t)(u.Add(originA, "gone"))
	ok[*crdt.USet[string]](t)(u.Add(originA, "kept"))
	ok[*crdt.USet[string]](t)(remote.Add(originB, "theirs"))
	u.Remove(originA, "gone")
	u.Merge(&remote)
	var l crdt.LWWSet[string]
	ok[*crdt.LWWSet[string]](t)(l.Add(0x0123456789ab0000, "in"))
	ok[*crdt.LWWSet[string]](t)(l.Add(0x0123456789ab0001, "out"))
	ok[*crdt.LWWSet[string]](t)(l.Remove(0x0123456789ac0000, "out"))
	var r crdt.RemoveBiasedLWWSet[string]
	ok[*crdt.RemoveBiasedLWWSet[string]](t)(r.Remove(7, "never"))
	ok[*crdt.RemoveBiasedLWWSet[string]](t)(r.Add(8, "in"))
	var p, other crdt.PNSet[string]
	ok[*crdt.PNSet[string]](t)(p.Add(originA, "x"))
	ok[*crdt.PNSet[string]](t)(p.Remove(originA, "y"))
	p.Reset("y")
	ok[*crdt.PNSet[string]](t)(other.Add(originB, "x"))
	p.Merge(&other)
	var m crdt.LWWMap[string, int]
	ok[*crdt.LWWMap[string, int]](t)(m.Set(stamp(0x0123456789ab0000, originB), "key", 1000))
	ok[*crdt.LWWMap[string, int]](t)(m.Set(stamp(0x0123456789ab0001, originA), "kez", math.MaxInt64))
	ok[*crdt.LWWMap[string, int]](t)(m.Delete(stamp(0x0123456789aa0000, originB), "gone"))
	return map[string]decodable{"uset two": &u, "lwwset two": &l, "lwwset-remove two": &r, "pnset counts": &p, "lwwmap three": &m}
}

func TestUnmarshalRefusesStampedBodies(t *testing.T) {
	const seenA = "01" + hexA + "01 00 01" // A: 1..2
	for _, c := range []struct{ name, body, why string }{
		{"uset", seenA + "01 02 6161 00", "an element without dots"},
		{"uset", seenA + "01 02 6161 01 00 03", "an unseen dot"},
		{"lwwset", "01 02 6161", "no times"},
		{"lwwset", "01 02 6161 02", "one column of times"},
		{"lwwset", "01 02 6161 00 00", "an element that was never written"},
		{"lwwset", "01 02 6161 8200 00", "an overlong time"},
		{"lwwset", "02 02 02 6162 6161 02 00 02 00", "elements out of order"},
		{"lwwset", "01 02 6161 02 00 00", "trailing bytes"},
		{"lwwset-remove", "01 02 6161 00 00", "an element that was never written"},
		{"pnset", "01 02 6161 00 00", "an element without shares"},
		{"pnset", "01 02 6161 01 01" + hexA + "01 01 00 00 00", "an origin beyond the table"},
		{"pnset", "01 02 6161 01 00 00 01 00 00 00", "no table of origins"},
		{"pnset", "01 02 6161 01 02" + hexA + hexB + "00 01 00 00 00", "an origin that nothing uses"},
		{"pnset", "01 02 6161 02 02" + hexB + hexA + "00 01 0101 0000 0000 0000", "origins out of order"},
		{"pnset", "01 02 6161 02 02" + hexA + hexB + "01 00 0101 0000 0000 0000", "shares out of order"},
		{"pnset", "01 02 6161 02 01" + hexA + "00 00 0101 0000 0000 0000", "a share twice"},
		{"pnset", "01 02 6161 01 01" + hexA + "00 00 00 00 00", "an empty share"},
		{"pnset", "01 02 6161 01 01" + hexA + "00 01 00 02 00", "a baseline above its count"},
		{"pnset", "01 02 6161 01 01" + hexA + "00 01 00 00 00 00", "trailing bytes"},
		{"lwwmap", "01 02 6161 02 01" + hexA + "00", "no value"},
		{"lwwmap", "01 02 6161 02 01" + hexA + "01 01 05", "an origin beyond the table"},
		{"lwwmap", "01 02 6161 00 01" + strings.Repeat("00", 16) + "00 01 05", "a field that was never written"},
		{"lwwmap", "01 02 6161 02 02" + hexA + hexB + "00 01 05", "an origin that nothing uses"},
		{"lwwmap", "01 02 6161 02 01" + hexA + "00 02 6161", "a value of another type"},
		{"lwwmap", "01 02 6161 02 01" + hexA + "00 02 1805", "a value that is not canonical"},
		{"lwwmap", "01 02 6161 02 01" + hexA + "00 02 0505", "a value and more"},
		{"lwwmap", "01 01 05 02 01" + hexA + "00 01 05", "a key of another type"},
		{"lwwmap", "02 02 02 6161 6161 02 02 01" + hexA + "00 00 01 01 05 05", "a key twice"},
		{"lwwmap", "01 02 6161 02 01" + hexA + "00 01 05 00", "trailing bytes"},
	} {
		refuses(t, c.name, envelope(t, c.name, 1, unhex(t, c.body)), c.why)
	}
}

func TestUSetMisuse(t *testing.T) {
	var a, b crdt.USet[string]
	add := ok[*crdt.USet[string]](t)(a.Add(originA, "x"))
	before := a.Clone()
	if delta, err := a.Add(originA, "x"); !errors.Is(err, crdt.ErrAdded) || delta != nil || !a.Equal(before) {
		t.Errorf("adding what is present = %v, %v, want ErrAdded and no change", delta, err)
	}
	if delta := b.Remove(originB, "x"); !delta.Equal(&crdt.USet[string]{}) || !b.Equal(delta) {
		t.Error("removing what is absent changed something")
	}
	// Two origins add one element: a remove takes only the add that it has seen.
	second := ok[*crdt.USet[string]](t)(b.Add(originB, "x"))
	b.Merge(a.Remove(originA, "x"))
	b.Merge(add)
	if !b.Has("x") || b.Len() != 1 {
		t.Error("a remove took an add that it had not seen")
	}
	a.Merge(second)
	if !a.Has("x") || !a.Equal(&b) {
		t.Error("the concurrent add of the same element is lost")
	}
	a.Remove(originA, "x")
	if a.Has("x") {
		t.Error("x is present after both of its adds were removed")
	}
	// The state has no memory of what was removed, and nothing to refuse with.
	if _, err := a.Add(originA, "x"); err != nil || !a.Has("x") {
		t.Errorf("adding again what was removed = %v, want it to be present, as documented", err)
	}
	b.Merge(&a)
	if !b.Has("x") || !b.Equal(&a) {
		t.Error("an element that was added again is elsewhere absent")
	}
}

// Of the removed elements nothing stays.
func TestUSetGrowth(t *testing.T) {
	var s crdt.USet[string]
	for i := range 1000 {
		ok[*crdt.USet[string]](t)(s.Add(originA, fmt.Sprint(i)))
		s.Remove(originA, fmt.Sprint(i))
	}
	if b := mustMarshal(t, &s); s.Len() != 0 || len(b) > 50 {
		t.Errorf("a set of nothing takes %d bytes", len(b))
	}
}

func TestLWWSetBias(t *testing.T) {
	var addsA, addsB crdt.LWWSet[string]
	var removesA, removesB crdt.RemoveBiasedLWWSet[string]
	for at, want := range map[hlc.Timestamp][2]bool{4: {false, false}, 5: {true, false}, 6: {true, true}} {
		v := fmt.Sprint("added at ", uint64(at))
		addsA.Merge(ok[*crdt.LWWSet[string]](t)(addsB.Add(at, v)))
		removesA.Merge(ok[*crdt.RemoveBiasedLWWSet[string]](t)(removesB.Add(at, v)))
		var late crdt.LWWSet[string]
		var lateRemove crdt.RemoveBiasedLWWSet[string]
		addsA.Merge(ok[*crdt.LWWSet[string]](t)(late.Remove(5, v)))
		removesA.Merge(ok[*crdt.RemoveBiasedLWWSet[string]](t)(lateRemove.Remove(5, v)))
		late.Merge(&addsB)
		lateRemove.Merge(&removesB)
		if got := [2]bool{addsA.Has(v), removesA.Has(v)}; got != want {
			t.Errorf("%s and removed at 5: present %v under add and remove bias, want %v", v, got, want)
		}
		if got := [2]bool{late.Has(v), lateRemove.Has(v)}; got != want {
			t.Errorf("%s and removed at 5, in the other order: present %v, want %v", v, got, want)
		}
		if times := addsA.Times(v); times != (crdt.Times{Added: at, Removed: 5}) || times != removesA.Times(v) {
			t.Errorf("times are %v, want %v and 5", times, at)
		}
	}
	if addsA.Len() != 2 || removesA.Len() != 1 || show(removesA.All()) != "[added at 6]" {
		t.Errorf("%d and %d elements are present, want 2 and 1", addsA.Len(), removesA.Len())
	}
}

func TestLWWSetStale(t *testing.T) {
	var s crdt.LWWSet[string]
	var r crdt.RemoveBiasedLWWSet[string]
	ok[*crdt.LWWSet[string]](t)(s.Remove(5, "x"))
	ok[*crdt.RemoveBiasedLWWSet[string]](t)(r.Add(5, "x"))
	before, beforeR := s.Clone(), r.Clone()
	for _, at := range []hlc.Timestamp{0, 4, 5} {
		added, errAdd := s.Add(at, "x")
		removed, errRemove := r.Remove(at, "x")
		for _, err := range []error{errAdd, errRemove} {
			e, isStale := errors.AsType[*crdt.StaleError](err)
			if !isStale || e.Stamp.Time != at || e.Current.Time != 5 || !errors.Is(err, crdt.ErrStale) {
				t.Errorf("a write at %v over one at 5 = %v, want a *StaleError with both", at, err)
			}
		}
		if added != nil || removed != nil || !s.Equal(before) || !r.Equal(beforeR) {
			t.Errorf("a refused write at %v changed something", at)
		}
	}
	if _, err := s.Add(0, "new"); !errors.Is(err, crdt.ErrStale) {
		t.Errorf("a write at no time = %v, want ErrStale", err)
	}
	_, err := s.Add(4, "x")
	if want := "crdt: stamp 0000000000000004 is not after 0000000000000005; observe merged stamps with the clock"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestPNSetCounts(t *testing.T) {
	var a, b crdt.PNSet[string]
	must := ok[*crdt.PNSet[string]](t)
	b.Merge(must(a.Add(originA, "x")))
	must(a.Add(originA, "x"))
	down := must(b.Remove(originB, "x"))
	for range 3 {
		a.Merge(down) // delivered thrice, counted once
	}
	if a.Count("x") != 1 || !a.Has("x") || a.Len() != 1 {
		t.Errorf("count %d of two adds and a remove, want 1", a.Count("x"))
	}
	// Both remove the one that is left.
	b.Merge(&a)
	down = must(a.Remove(originA, "x"))
	must(b.Remove(originB, "x"))
	b.Merge(down)
	if b.Count("x") != -1 || b.Has("x") || b.Len() != 0 || show(b.All()) != "[]" {
		t.Errorf("count %d after two removes of one, want -1 and absence", b.Count("x"))
	}
	must(b.Add(originB, "x"))
	if b.Count("x") != 0 || b.Has("x") {
		t.Errorf("count %d after one more add, want 0, which is absent", b.Count("x"))
	}
	b.Merge(must(a.Remove(originA, "x"))) // -1 again
	concurrent := must(a.Add(originA, "x"))
	reset := b.Reset("x")
	if b.Count("x") != 0 {
		t.Errorf("count %d after a reset, want 0", b.Count("x"))
	}
	b.Merge(concurrent)
	a.Merge(reset)
	a.Merge(&b)
	if b.Count("x") != 1 || !b.Has("x") || !a.Equal(&b) {
		t.Errorf("count %d, want the 1 that the reset had not seen", b.Count("x"))
	}
	if delta := b.Reset("never"); !delta.Equal(&crdt.PNSet[string]{}) || len(maps.Collect(b.Counts())) != 1 {
		t.Error("resetting what was never counted says something")
	}
}

func TestPNSetOverflow(t *testing.T) {
	full := slices.Concat(unhex(t, "01 02 6178 01 01"), originA[:], unhex(t, "00 ffffffffffffffff7f ffffffffffffffff7f 00 00"))
	var s, other crdt.PNSet[string]
	if err := s.UnmarshalBinary(envelope(t, "pnset", 1, full)); err != nil {
		t.Fatal(err)
	}
	before := s.Clone()
	added, errAdd := s.Add(originA, "x")
	removed, errRemove := s.Remove(originA, "x")
	if !errors.Is(errAdd, crdt.ErrOverflow) || !errors.Is(errRemove, crdt.ErrOverflow) || added != nil || removed != nil || !s.Equal(before) {
		t.Errorf("counting beyond 2^63-1 = %v and %v, want ErrOverflow and no change", errAdd, errRemove)
	}
	ok[*crdt.PNSet[string]](t)(s.Add(originA, "y")) // shares are per element
	ok[*crdt.PNSet[string]](t)(other.Add(originB, "x"))
	if s.Merge(&other); s.Count("x") != 1 {
		t.Errorf("count %d, want the exact 1", s.Count("x"))
	}
}

func TestLWWMapTie(t *testing.T) {
	var a, b, c crdt.LWWMap[string, string]
	must := ok[*crdt.LWWMap[string, string]](t)
	type delta = *crdt.LWWMap[string, string]
	deltas := []delta{
		must(a.Set(stamp(7, originA), "k", "z from A")), must(b.Set(stamp(7, originB), "k", "y from B, and longer than a cell")),
		must(c.Set(stamp(6, originC), "k", "x from C")), must(c.Delete(stamp(7, originA), "gone")), must(a.Set(stamp(7, originB), "gone", "back")),
	}
	want := map[string]string{"k": "y from B, and longer than a cell", "gone": "back"}
	permute(deltas, len(deltas), func() {
		var direct, proxied crdt.LWWMap[string, string]
		for _, d := range deltas {
			direct.Merge(d)
			hop := crdt.LWWMap[string, string]{}
			hop.Merge(d)
			proxied.Merge(&hop)
		}
		if got := maps.Collect(direct.All()); !maps.Equal(got, want) || direct.Len() != 2 {
			t.Fatalf("has %v, want %v", got, want)
		}
		if s, known := direct.Stamp("k"); s != stamp(7, originB) || !known {
			t.Fatalf("the stamp is %v, want 7 of B", s)
		}
		if !direct.Equal(&proxied) || string(mustMarshal(t, &direct)) != string(mustMarshal(t, &proxied)) {
			t.Fatal("another state through a proxy")
		}
	})
	// One origin used twice at one time: the bytes of the value decide.
	one, two := must(new(crdt.LWWMap[string, string]).Set(stamp(9, originA), "k", "1")), must(new(crdt.LWWMap[string, string]).Set(stamp(9, originA), "k", "2"))
	gone := must(new(crdt.LWWMap[string, string]).Delete(stamp(9, originA), "k"))
	for _, all := range []delta{mergeAll(one, two, gone), mergeAll(gone, two, one), mergeAll(two, gone, one)} {
		if got, _ := all.Get("k"); got != "2" {
			t.Errorf("of three writes with one stamp %q prevails, want the larger bytes", got)
		}
	}
}

func TestLWWMapStale(t *testing.T) {
	var m crdt.LWWMap[string, int]
	must := ok[*crdt.LWWMap[string, int]](t)
	must(m.Set(stamp(5, originB), "k", 1))
	before := m.Clone()
	for _, s := range []crdt.Stamp{{}, stamp(4, originC), stamp(5, originA), stamp(5, originB)} {
		set, errSet := m.Set(s, "k", 2)
		deleted, errDelete := m.Delete(s, "k")
		for _, err := range []error{errSet, errDelete} {
			if e, isStale := errors.AsType[*crdt.StaleError](err); !isStale || e.Stamp != s || e.Current != stamp(5, originB) {
				t.Errorf("a write with %v over 5 of B = %v, want a *StaleError with both", s, err)
			}
		}
		if set != nil || deleted != nil || !m.Equal(before) {
			t.Errorf("a refused write with %v changed something", s)
		}
	}
	if _, err := m.Set(crdt.Stamp{}, "new", 1); !errors.Is(err, crdt.ErrStale) || !m.Equal(before) {
		t.Errorf("a write without a stamp = %v, want ErrStale and no change", err)
	}
	must(m.Delete(stamp(5, originC), "k"))
	if _, has := m.Get("k"); has || m.Has("k") || m.Len() != 0 {
		t.Error("a later removal did not remove")
	}
	var values crdt.LWWMap[string, any]
	if delta, err := values.Set(stamp(1, originA), "k", make(chan int)); !errors.Is(err, crdt.ErrValue) || delta != nil || !values.Equal(&crdt.LWWMap[string, any]{}) {
		t.Errorf("setting what cannot be encoded = %v, %v, want ErrValue and no change", delta, err)
	}
	var texts crdt.LWWMap[string, string]
	if delta, err := texts.Set(stamp(1, originA), "k", "\xff"); !errors.Is(err, crdt.ErrValue) || delta != nil {
		t.Errorf("setting text that is not UTF-8 = %v, %v, want ErrValue", delta, err)
	}
}

// What the fast paths write is what the encoder writes.
func TestLWWMapValues(t *testing.T) {
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64, -1, -24, -25, -256, -257, math.MinInt64} {
		comesBack(t, n)
		comesBack(t, int64(n))
		comesBack(t, uint64(n))
		comesBack(t, int32(n))
	}
	for n := range 300 {
		comesBack(t, strings.Repeat("ö", n/2)+"x")
	}
	comesBack(t, "")
	comesBack(t, true)
	comesBack(t, 1.5)
	comesBack(t, [3]string{"a", "b", strings.Repeat("c", 100)})
}

// comesBack writes v in each place a value can have, over a short and a long one.
func comesBack[V comparable](t *testing.T, v V) {
	t.Helper()
	var m, again crdt.LWWMap[int, V]
	var other V
	for at, v := range []V{v, other, v} {
		delta := ok[*crdt.LWWMap[int, V]](t)(m.Set(stamp(uint64(at+1), originA), 5, v))
		again.Merge(delta)
		got, has := m.Get(5)
		if fromDelta, _ := delta.Get(5); got != v || fromDelta != v || !has || !again.Equal(&m) {
			t.Errorf("%v comes back as %v, and %v in the delta", v, got, fromDelta)
		}
	}
	b := mustMarshal(t, &m)
	var read crdt.LWWMap[int, V]
	if err := read.UnmarshalBinary(b); err != nil || !read.Equal(&m) {
		t.Errorf("%v does not decode again: %v", v, err)
	}
	encoded, err := crdt.EncodeValue(v)
	if err != nil || string(b[len(b)-len(encoded):]) != string(encoded) {
		t.Errorf("%v is stored as %x, its encoding is %x (%v)", v, b, encoded, err)
	}
}

// Long and short contents change places, in one map and its clones.
func TestLWWMapManyFields(t *testing.T) {
	var m crdt.LWWMap[int, string]
	must := ok[*crdt.LWWMap[int, string]](t)
	want, at := map[int]string{}, uint64(0)
	var clone *crdt.LWWMap[int, string]
	var frozen []byte
	for round := range 6 {
		for i := range 1000 {
			at++
			k, v := i*(round+1)%1500, strings.Repeat(fmt.Sprint(i), (i*7+round*3)%9)
			if (i+round)%5 == 0 {
				must(m.Delete(stamp(at, origin(i%20)), k))
				delete(want, k)
				continue
			}
			must(m.Set(stamp(at, origin(i%20)), k, v))
			want[k] = v
		}
		if got := maps.Collect(m.All()); !maps.Equal(got, want) || m.Len() != len(want) {
			t.Fatalf("round %d: %d fields, want %d, or with other values", round, len(got), len(want))
		}
		if round == 2 {
			clone, frozen = m.Clone(), mustMarshal(t, &m)
		}
	}
	if string(mustMarshal(t, clone)) != string(frozen) {
		t.Error("a clone changed with what it is a clone of")
	}
	if clone.Merge(&m); !clone.Equal(&m) || string(mustMarshal(t, clone)) != string(mustMarshal(t, &m)) {
		t.Error("a clone that merged all later writes is not equal")
	}
	if clone.Merge(&m) || m.Merge(&m) {
		t.Error("merging again changed something")
	}
}

// A delta that does not outlive its caller costs nothing.
func TestLWWMapSetAllocations(t *testing.T) {
	var m crdt.LWWMap[string, int]
	at := uint64(0)
	set := func() {
		at++
		if _, err := m.Set(stamp(at, originA), "key", int(at)); err != nil {
			t.Fatal(err)
		}
	}
	set()
	if n := testing.AllocsPerRun(100, set); n != 0 {
		t.Errorf("an overwrite allocates %v times, want 0", n)
	}
}

// A loop over any of them may end early.
func TestStampedIterationStops(t *testing.T) {
	var m crdt.LWWMap[string, int]
	var p crdt.PNSet[string]
	var l crdt.LWWSet[string]
	var r crdt.RemoveBiasedLWWSet[string]
	var u crdt.USet[string]
	for i := range 10 {
		v := fmt.Sprint(i)
		ok[*crdt.LWWMap[string, int]](t)(m.Set(stamp(1, originA), v, i))
		ok[*crdt.PNSet[string]](t)(p.Add(originA, v))
		ok[*crdt.LWWSet[string]](t)(l.Add(1, v))
		ok[*crdt.RemoveBiasedLWWSet[string]](t)(r.Add(1, v))
		ok[*crdt.USet[string]](t)(u.Add(originA, v))
	}
	keys := func(yield func(string) bool) {
		for k := range m.All() {
			if !yield(k) {
				return
			}
		}
	}
	for _, all := range []func(func(string) bool){keys, p.All(), l.All(), r.All(), u.All()} {
		n := 0
		for range all {
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("the loop ran %d times, want 3", n)
		}
	}
}
