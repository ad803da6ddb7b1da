package columns

import (
	"cmp"
	"slices"
)

// fewDead is how many dead records a table of any size may have.
const fewDead = 64

// tidy rewrites the table when most of its records are dead.
func (t *Table) tidy() {
	if dead := t.records.n - t.live; dead > t.live+fewDead {
		t.rewrite()
	}
}

// rewrite drops the dead records and sorts the others by their dots.
func (t *Table) rewrite() {
	old := *t
	t.records, t.index = records{moves: t.records.moves + 1}, index{}
	t.far, t.origins = nil, slices.Clone(t.origins)
	for i := range t.origins {
		t.origins[i] = source{id: t.origins[i].id}
	}
	entries := make([]uint64, 0, t.live)
	if _, ok := old.inOrder(old.ranks(), nil); ok {
		for at := range old.records.all() {
			if old.dotAt(at) != 0 {
				entries = append(entries, t.copyRecord(&old, at))
			}
		}
	} else {
		for _, o := range old.order() {
			entries = append(entries, t.copyRecord(&old, o.at))
		}
	}
	t.index.fill(entries, nil)
}

// copyRecord copies a record with a dot from what the table was before, and
// returns its entry in the index.
func (t *Table) copyRecord(old *Table, at uint32) uint64 {
	k, d := Raw(old.records.key(at)), old.records.dot(at)
	now := t.records.add(&k)
	t.records.setDot(now, d)
	if d.isList() {
		for p := range old.dotsOf(at) {
			t.settle(p, now, true)
		}
	} else {
		t.settle(d, now, false)
	}
	return entryOf(k.tag(t.seed), now)
}

// inOrder returns the stretches of a table of which every key has one dot and
// these ascend. It adds the keys to s, unless that is nil.
func (t *Table) inOrder(ranks []uint32, s *shapes) (live []stretch, ok bool) {
	if t.dots != t.live || len(t.wide.number) > 0 {
		return nil, false
	}
	whole, r := t.records.n == t.live, runs{ranks: ranks}
	for _, chunk := range t.records.chunks {
		for len(chunk) > 0 {
			key, p := keyOf(chunk), dotOf(chunk)
			chunk = chunk[span(len(key)):]
			if !whole && t.living(p) == 0 {
				continue
			}
			if s != nil {
				s.add(key)
			}
			if (r.first == 0 || p != r.last+1) && !r.begin(p) {
				return nil, false
			}
			r.last = p
		}
	}
	return r.end(), true
}

// Runs are ascending dots on their way to stretches.
type runs struct {
	ranks       []uint32
	live        []stretch
	first, last packed // of the run that goes on
}

// begin ends the run and begins one at p, which does not follow on it. It
// reports whether the two ascend.
func (r *runs) begin(p packed) bool {
	r.end()
	if n := len(r.live); n > 0 {
		rank, last := r.ranks[p.origin()], &r.live[n-1]
		if rank < last.rank || rank == last.rank && p.seq() < last.last {
			return false
		}
	}
	r.first = p
	return true
}

// end returns the stretches.
func (r *runs) end() []stretch {
	if r.first != 0 {
		r.live = append(r.live, stretch{r.ranks[r.first.origin()], r.first.seq(), r.last.seq()})
		r.first = 0
	}
	return r.live
}

// A ranked is a record and the least of its dots, with the rank of the origin
// among all.
type ranked struct {
	seq  uint64
	rank uint32
	at   uint32
}

// order returns the records with dots, by the least of these.
func (t *Table) order() []ranked {
	order := make([]ranked, 0, t.live)
	ranks := t.ranks()
	for at := range t.records.all() {
		least := ranked{}
		for p := range t.dotsOf(at) {
			d := t.dot(p)
			n, _ := t.number(&d.Origin)
			if r := (ranked{d.Seq, ranks[n], at}); least.seq == 0 || r.compare(least) < 0 {
				least = r
			}
		}
		if least.seq != 0 {
			order = append(order, least)
		}
	}
	slices.SortFunc(order, ranked.compare)
	return order
}

func (r ranked) compare(s ranked) int {
	return cmp.Or(cmp.Compare(r.rank, s.rank), cmp.Compare(r.seq, s.seq))
}

// ranks returns for each number of an origin its rank among the origins seen.
func (t *Table) ranks() []uint32 {
	ranks := make([]uint32, len(t.origins))
	for rank, o := range t.seen.Origins() {
		if n, ok := t.number(&o); ok {
			ranks[n] = uint32(rank)
		}
	}
	return ranks
}
