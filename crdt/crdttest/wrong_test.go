package crdttest_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// tally is a counter that grows: per origin a total, at most 20. Its flaws are
// switches, so that one type shows that it is the flaw which is found.
type tally struct {
	totals map[merge.Origin]*merge.Max[int64]
	flaw   flaw
}

type flaw int

const (
	none        flaw = iota
	oneTotal         // all origins count in one place
	sums             // Merge adds what it gets
	adopts           // Merge keeps the values of its argument
	mutates          // Merge changes its argument
	shallow          // a clone shares the totals
	lies             // Merge always reports a change
	eager            // a refused change changes the state
	shortDelta       // a delta holds what was added, not the total
	sharedDelta      // a delta shares its total with the value
	emptyDelta       // a delta of 3 and more holds nothing
	unsorted         // the encoding is in the order of the map
	lossy            // the encoding has no totals above 9
	lenient          // decoding takes what comes behind
)

func (t *tally) at(o merge.Origin) *merge.Max[int64] {
	if t.flaw == oneTotal {
		o = merge.Origin{}
	}
	if t.totals == nil {
		t.totals = map[merge.Origin]*merge.Max[int64]{}
	}
	if t.totals[o] == nil {
		t.totals[o] = merge.MaxOf(int64(0))
	}
	return t.totals[o]
}

var errFull = errors.New("the tally is full")

func (t *tally) add(o merge.Origin, n int64) (*tally, error) {
	if n == 0 {
		return &tally{flaw: t.flaw}, nil
	}
	cell := t.at(o)
	total, _ := cell.Value()
	if total+n > 20 && t.flaw != eager {
		if total == 0 {
			delete(t.totals, o)
		}
		return nil, errFull
	}
	cell.Merge(merge.MaxOf(total + n))
	if total+n > 20 {
		return nil, errFull
	}
	delta := &tally{flaw: t.flaw}
	switch {
	case t.flaw == shortDelta:
		delta.at(o).Merge(merge.MaxOf(n))
	case t.flaw == sharedDelta:
		delta.totals = map[merge.Origin]*merge.Max[int64]{o: cell}
	case t.flaw != emptyDelta || n < 3:
		delta.at(o).Merge(cell)
	}
	return delta, nil
}

func (t *tally) value() (sum int64) {
	for _, total := range t.totals {
		n, _ := total.Value()
		sum += n
	}
	return sum
}

func (t *tally) Merge(from *tally) (changed bool) {
	for o, total := range from.totals {
		mine, ok := t.totals[o]
		switch {
		case !ok && t.flaw == adopts && from.flaw == adopts:
			t.at(o)
			t.totals[o], changed = total, true
			continue
		case !ok:
			mine = t.at(o)
		case t.flaw == sums:
			a, _ := mine.Value()
			b, _ := total.Value()
			total = merge.MaxOf(a + b)
		}
		changed = mine.Merge(total) || changed
		if t.flaw == mutates {
			total.Merge(mine)
		}
	}
	return changed || t.flaw == lies
}

func (t *tally) Equal(o *tally) bool {
	return maps.EqualFunc(t.totals, o.totals, func(a, b *merge.Max[int64]) bool { return a.Equal(b) })
}

func (t *tally) Clone() *tally {
	c := &tally{flaw: t.flaw}
	if t.flaw == shallow {
		c.totals = maps.Clone(t.totals)
		return c
	}
	for o, total := range t.totals {
		c.at(o).Merge(total)
	}
	return c
}

func (t *tally) AppendBinary(dst []byte) ([]byte, error) {
	origins := slices.Collect(maps.Keys(t.totals))
	if t.flaw != unsorted {
		slices.SortFunc(origins, merge.Origin.Compare)
	}
	for _, o := range origins {
		n, _ := t.totals[o].Value()
		if t.flaw == lossy {
			n = min(n, 9)
		}
		dst = append(append(dst, o[:]...), byte(n))
	}
	return append(dst, 0xff), nil
}

// decodeTally reads pairs of an origin and a total, ascending, up to a byte 0xff.
func decodeTally(f flaw) func([]byte) (*tally, error) {
	return func(b []byte) (*tally, error) {
		t := &tally{flaw: f}
		r := varint.NewReader("tally", b)
		var last merge.Origin
		for i := 0; r.Err() == nil && r.Len() > 1 && b[len(b)-r.Len()] != 0xff; i++ {
			var o merge.Origin
			copy(o[:], r.Fixed(len(o)))
			n := int64(r.Byte())
			if n == 0 || n > 20 || i > 0 && o.Compare(last) <= 0 && f != unsorted {
				r.Fail("out of order or range")
			}
			if last = o; r.Err() == nil {
				t.at(o).Merge(merge.MaxOf(n))
			}
		}
		if r.Byte() != 0xff {
			r.Fail("no end")
		}
		if f == lenient {
			return t, r.Err()
		}
		return t, r.Done()
	}
}

// tallies is the form of a tally with a flaw.
func tallies(f flaw) crdttest.Form[*tally] {
	return crdttest.Form[*tally]{
		Verbs:  []string{"add"},
		New:    func() *tally { return &tally{flaw: f} },
		Apply:  func(t *tally, c crdttest.Change) (*tally, error) { return t.add(c.Origin, c.Amount()) },
		Read:   func(t *tally) string { return fmt.Sprint(t.value()) },
		Spec:   crdttest.GCounterSpec,
		Decode: decodeTally(f),
	}
}

// average is commutative, idempotent and not associative.
type average struct{ v float64 }

func (a *average) Merge(from *average) bool {
	was := *a
	a.v = (a.v + from.v) / 2
	return *a != was
}
func (a *average) Equal(o *average) bool { return *a == *o }
func (a *average) Clone() *average       { c := *a; return &c }

var averages = crdttest.Form[*average]{
	Verbs: []string{"set"},
	New:   func() *average { return &average{} },
	Apply: func(a *average, c crdttest.Change) (*average, error) {
		a.v = float64(c.N)
		return a.Clone(), nil
	},
	Read: func(a *average) string { return fmt.Sprint(a.v) },
	Spec: func(visible crdttest.Changes) string {
		last, _ := visible.Last()
		return fmt.Sprint(last.N)
	},
}

// noTie keeps the later write and, of two at the same time, its own.
type noTie struct {
	time hlc.Timestamp
	n    int64
}

func (l *noTie) Merge(from *noTie) bool {
	if from.time <= l.time {
		return false
	}
	*l = *from
	return true
}
func (l *noTie) Equal(o *noTie) bool { return *l == *o }
func (l *noTie) Clone() *noTie       { c := *l; return &c }

var noTies = crdttest.Form[*noTie]{
	Verbs: []string{"set"},
	New:   func() *noTie { return &noTie{} },
	Apply: func(l *noTie, c crdttest.Change) (*noTie, error) {
		*l = noTie{c.Time, c.N}
		return l.Clone(), nil
	},
	Read: func(l *noTie) string {
		if l.time == 0 {
			return crdttest.Nothing
		}
		return fmt.Sprint(l.n)
	},
	Spec: crdttest.LWWRegisterSpec,
}

type dotMap = merge.DotMap[string, bool]

// A dotSet is an add-wins set whose deltas pass through a bug on arrival.
type dotSet struct {
	m   dotMap
	bug func(into, from *dotMap) *dotMap
}

func (s *dotSet) Merge(from *dotSet) bool {
	if s.bug == nil {
		s.bug = from.bug
	}
	if s.bug == nil {
		return s.m.Merge(&from.m)
	}
	return s.m.Merge(s.bug(&s.m, &from.m))
}
func (s *dotSet) Equal(o *dotSet) bool { return s.m.Equal(&o.m) }
func (s *dotSet) Clone() *dotSet       { return &dotSet{*s.m.Clone(), s.bug} }

// dotSets is the form of a dotSet with a bug.
func dotSets(bug func(into, from *dotMap) *dotMap) crdttest.Form[*dotSet] {
	return crdttest.Form[*dotSet]{
		Verbs: []string{"add", "remove"},
		New:   func() *dotSet { return &dotSet{bug: bug} },
		Apply: func(s *dotSet, c crdttest.Change) (*dotSet, error) {
			if c.Verb == "add" {
				return &dotSet{*s.m.Put(c.Origin, c.Element, true), bug}, nil
			}
			return &dotSet{*s.m.Drop(c.Origin, c.Element), bug}, nil
		},
		Read: func(s *dotSet) string {
			return crdttest.Sorted(func(yield func(string) bool) {
				for e := range s.m.All() {
					if !yield(e) {
						return
					}
				}
			})
		},
		Spec: crdttest.ORSetSpec,
	}
}

func noBug(_, from *dotMap) *dotMap { return from }

// vectorBug reads a context as the vector of its last numbers.
func vectorBug(_, from *dotMap) *dotMap {
	seen := &merge.Context{}
	for d := range from.Context().All() {
		for seq := range d.Seq {
			seen.Add(merge.Dot{Origin: d.Origin, Seq: seq + 1})
		}
	}
	return under(from, seen)
}

// greedyBug lets a remove take away all that the receiver holds of the removed
// element, seen by the remover or not.
func greedyBug(into, from *dotMap) *dotMap {
	seen := from.Context().Clone()
	for _, cell := range into.All() {
		for _, d := range cell.Dots() {
			if from.Len() == 0 && from.Context().Contains(d) {
				seen.Merge(merge.ContextOf(cell.Dots()...))
			}
		}
	}
	return under(from, seen)
}

// leakyBug forgets what a delta with an element removes.
func leakyBug(_, from *dotMap) *dotMap {
	live := &merge.Context{}
	for _, cell := range from.All() {
		live.Merge(merge.ContextOf(cell.Dots()...))
	}
	if live.Count() == 0 {
		return from
	}
	return under(from, live)
}

// under returns from under another context.
func under(from *dotMap, seen *merge.Context) *dotMap {
	m, ok := merge.Restore(maps.Collect(from.All()), seen)
	if !ok {
		panic("a context without its own dots")
	}
	return m
}
