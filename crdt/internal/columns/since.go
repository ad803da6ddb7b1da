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
	switch {
	case !covers(known, &t.journal.floor):
		delta.seen.Merge(t.seen.Without(t.liveDots()))
	case !covers(known, &t.journal.early):
		delta.seen.Merge(&t.journal.old)
		t.addGone(delta, known)
	default:
		t.addGone(delta, known)
	}
	t.addFresh(delta, fresh)
	delta.Loaded()
	return delta
}

// addFresh loads the live dots that are in fresh.
func (t *Table) addFresh(delta *Table, fresh *merge.Context) {
	if fresh.Count() <= uint64(t.dots) {
		for d := range fresh.All() {
			if p, ok := t.packed(d); ok {
				if at, live := t.locate(p); live {
					t.copyDot(delta, at, d)
				}
			}
		}
		return
	}
	for at := range t.records.all() {
		for p := range t.dotsOf(at) {
			if d := t.dot(p); fresh.Contains(d) {
				t.copyDot(delta, at, d)
			}
		}
	}
}

func (t *Table) copyDot(delta *Table, at uint32, d merge.Dot) {
	k := Raw(t.records.key(at))
	delta.Load(&k, d)
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
	dots := make([]packed, 0, t.dots)
	live := &merge.Context{}
	for at := range t.records.all() {
		for p := range t.dotsOf(at) {
			if p.origin() == wideOrigin {
				live.Add(t.dot(p))
			} else {
				dots = append(dots, p)
			}
		}
	}
	slices.Sort(dots)
	for len(dots) > 0 {
		n := 1
		for n < len(dots) && dots[n] == dots[n-1]+1 {
			n++
		}
		first := t.dot(dots[0])
		live.AddSpan(merge.Span{Origin: first.Origin, First: first.Seq, Last: first.Seq + uint64(n) - 1})
		dots = dots[n:]
	}
	return live
}
