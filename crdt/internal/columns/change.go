package columns

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Change is one change of one key: it has a dot, supersedes others, and puts
// the key in or takes it out.
type Change struct {
	Dot  merge.Dot
	Put  bool
	Old  merge.Dot   // the superseded dot, Seq 0 if there is none
	More []merge.Dot // further ones
}

// Put makes a new dot of origin the only one of k, and returns the change.
func (t *Table) Put(origin merge.Origin, k *Key) (c Change) {
	c.Dot, c.Put = t.seen.Take(origin), true
	tag := k.tag(t.seed)
	at, ok := t.search(k, tag)
	if ok {
		t.clear(at, &c)
	} else {
		at = t.insert(k, tag)
	}
	t.attach(at, t.pack(c.Dot))
	return c
}

// Drop removes the dots of k as origin, and returns the change.
func (t *Table) Drop(origin merge.Origin, k *Key) (c Change) {
	c.Dot = t.seen.Take(origin)
	if at, ok := t.Find(k); ok {
		t.clear(at, &c)
	}
	t.tidy()
	return c
}

// clear takes all dots off a record and adds them to what c supersedes.
func (t *Table) clear(at uint32, c *Change) {
	d := t.dotAt(at)
	if d == 0 {
		return
	}
	if !d.isList() {
		c.Old = t.dot(d)
		t.remember(c.Dot, c.Old)
		t.detach(at, d)
		return
	}
	dots := t.Dots(at)
	c.Old, c.More = dots[0], dots[1:]
	for _, d := range dots {
		p, _ := t.packed(d)
		t.remember(c.Dot, d)
		t.detach(at, p)
	}
}

// Apply joins a change of k by another replica, and reports a change. It does
// not use k, which may be nil, if the change puts nothing.
func (t *Table) Apply(k *Key, c *Change) (changed bool) {
	if c.Put && t.seen.Contains(c.Dot) {
		if _, twice := t.twice(k, c.Dot); twice {
			return t.Merge(c.table(k))
		}
	}
	changed = t.kill(c.Old, c.Dot)
	for _, d := range c.More {
		changed = t.kill(d, c.Dot) || changed
	}
	if !c.Put {
		changed = t.kill(c.Dot, c.Dot) || changed
	} else if t.seen.Add(c.Dot) {
		t.attach(t.record(k), t.pack(c.Dot))
		changed = true
	}
	t.tidy()
	return changed
}

// table returns the change of k as a table.
func (c *Change) table(k *Key) *Table {
	t := Of(merge.ContextOf(slices.Concat(c.More, []merge.Dot{c.Dot, c.Old})...))
	t.Load(k, c.Dot)
	return t
}

// kill sees d and, because of the change by, takes it off the record that has it.
// It reports a change.
func (t *Table) kill(d, by merge.Dot) bool {
	if d.Seq == 0 {
		return false
	}
	if t.seen.Add(d) {
		if d != by { // it may be live elsewhere
			t.remember(by, d)
		}
		return true
	}
	p, ok := t.packed(d)
	if !ok {
		return false
	}
	if !t.take(p) {
		return false
	}
	t.remember(by, d)
	return true
}

// holds reports whether d is live.
func (t *Table) holds(d merge.Dot) bool {
	p, ok := t.packed(d)
	if ok {
		_, ok = t.locate(p)
	}
	return ok
}

// Equal reports whether both have seen the same changes and have the same dots
// at the same keys.
func (t *Table) Equal(o *Table) bool {
	if t.dots != o.dots || t.live != o.live || !t.seen.Equal(&o.seen) {
		return false
	}
	for at, record := range o.records.all() {
		for p := range o.dotsOf(at) {
			mine, known := t.packed(o.dot(p))
			where, live := uint32(0), false
			if known {
				where, live = t.locate(mine)
			}
			if !live || string(t.records.key(where)) != string(keyOf(record)) {
				return false
			}
		}
	}
	return true
}
