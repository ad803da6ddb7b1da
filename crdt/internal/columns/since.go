package columns

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// Since returns a delta that takes a replica which has seen known to the join
// with the table: what was added that it has not seen, and what was removed by
// changes that it has not seen. Both must have merged each delta after those its
// author had seen; otherwise a context does not tell what a replica lacks. It visits those, and the removals of the last
// while. If known is older than what the table remembers of its removals, it
// visits the whole table and the delta names all that was ever removed.
func (t *Table) Since(known *merge.Context) *Table {
	fresh := t.seen.Without(known)
	delta := Of(fresh.Clone())
	if t.remembers(known) {
		t.addGone(delta, known)
	} else {
		delta.seen.Merge(t.seen.Without(t.liveDots()))
	}
	if fresh.Count() > uint64(t.dots) {
		for at := range uint32(t.slots.len()) {
			for p := range t.dotsOf(at) {
				if d := t.dot(p); fresh.Contains(d) {
					t.copyDot(delta, at, d)
				}
			}
		}
	} else {
		for d := range fresh.All() {
			if p, ok := t.packed(d); ok {
				if at, live := t.locate(p); live {
					t.copyDot(delta, at, d)
				}
			}
		}
	}
	delta.Loaded()
	return delta
}

func (t *Table) copyDot(delta *Table, at uint32, d merge.Dot) {
	k := Raw(t.key(at))
	delta.Load(&k, d)
}

// remembers reports whether every removal that known has not seen is in the
// journal.
func (t *Table) remembers(known *merge.Context) bool {
	seen := known.Vector()
	for d := range t.journal.floor.Heads() {
		if !seen.Contains(d) {
			return false
		}
	}
	return true
}

// addGone makes delta see the dots that were removed by changes that known has
// not seen.
func (t *Table) addGone(delta *Table, known *merge.Context) {
	j := &t.journal
	news := make([]bool, len(j.groups))
	for i := range j.groups {
		news[i] = j.groups[i].Without(known).Count() > 0
	}
	var gone []packed
	for _, r := range j.ring {
		if r.by.origin() == listOrigin {
			if i := r.by.seq() - j.base; r.by.seq() < j.base || !news[i] {
				continue
			}
		} else if known.Contains(t.dot(r.by)) {
			continue
		}
		gone = append(gone, r.gone)
	}
	slices.Sort(gone) // a context takes ascending numbers fastest
	for _, p := range gone {
		delta.seen.Add(t.dot(p))
	}
}

// liveDots returns the live dots.
func (t *Table) liveDots() *merge.Context {
	dots := make([]merge.Dot, 0, t.dots)
	for at := range uint32(t.slots.len()) {
		for p := range t.dotsOf(at) {
			dots = append(dots, t.dot(p))
		}
	}
	slices.SortFunc(dots, merge.Dot.Compare)
	return merge.ContextOf(dots...)
}
