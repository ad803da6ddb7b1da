package columns

import (
	"cmp"
	"slices"
)

// fewDead is how many dead slots a table of any size may have.
const fewDead = 64

// tidy rewrites the table when most of its slots are dead.
func (t *Table) tidy() {
	if dead := t.slots.len() - t.live; dead > t.live+fewDead {
		t.rewrite()
	}
}

// rewrite drops the dead slots and sorts the others by their dots.
func (t *Table) rewrite() {
	order := t.order()
	old, tags := *t, t.tags()
	t.keys, t.slots, t.index = keys{}, slots{moves: t.slots.moves + 1}, index{}
	t.far, t.origins = nil, slices.Clone(t.origins)
	for i := range t.origins {
		t.origins[i] = source{id: t.origins[i].id}
	}
	t.index.resize(room(len(order)))
	for _, e := range order {
		k := Raw(old.key(e.slot))
		at := t.slots.add(t.keys.add(&k))
		t.index.put(entryOf(tags[e.slot], at))
		t.slots.at(at).setDot(old.slots.at(e.slot).dot())
		for p := range t.dotsOf(at) {
			t.settle(p, at)
		}
	}
}

// tags returns the tag of each slot.
func (t *Table) tags() []uint32 {
	tags := make([]uint32, t.slots.len())
	for _, e := range t.index.entries {
		if e != 0 {
			tag, at := split(e)
			tags[at] = tag
		}
	}
	return tags
}

// A ranked is a slot and the least of its dots, with the rank of the origin
// among all.
type ranked struct {
	seq  uint64
	rank uint32
	slot uint32
}

// order returns the slots with dots, by the least of these.
func (t *Table) order() []ranked {
	order := make([]ranked, 0, t.live)
	ranks := t.ranks()
	for at := range uint32(t.slots.len()) {
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
