package columns

import (
	"hash/maphash"
	"iter"
	"maps"
	"math/bits"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Table is the live dots of a set of keys and one causal context. It must be
// made by New. It is not safe for concurrent mutation.
type Table struct {
	seen    merge.Context
	records records
	index   index
	seed    maphash.Seed
	origins []source
	numbers map[merge.Origin]uint32 // of origins, if there are more than a few
	last    uint32                  // number of the origin that changed something last
	far     map[packed]uint32       // the records of dots that no page has
	lists   lists
	wide    wides
	live    int // records with a dot
	dots    int
	journal journal
}

// New returns an empty table.
func New() *Table { return &Table{seed: maphash.MakeSeed()} }

// Of returns a table without keys that has seen what seen contains, which it
// keeps.
func Of(seen *merge.Context) *Table {
	t := New()
	t.seen = *seen
	return t
}

// Load makes d, which the table has seen, a dot of k. It reports false, and does
// nothing, if d is live already.
func (t *Table) Load(k *Key, d merge.Dot) bool {
	p := t.pack(d)
	if _, live := t.locate(p); live {
		return false
	}
	t.attach(t.record(k), p)
	return true
}

// Len returns the number of keys that have a dot.
func (t *Table) Len() int { return t.live }

// Context returns what has been seen. It is the table's own and must not be
// modified.
func (t *Table) Context() *merge.Context { return &t.seen }

// Version returns how often the records were copied or renumbered.
func (t *Table) Version() uint64 { return t.records.moves }

// search returns the record of a key, with a dot or not.
func (t *Table) search(k *Key, tag uint32) (at uint32, ok bool) {
	x := &t.index
	if len(x.buckets) == 0 {
		return 0, false
	}
	for i := x.home(tag); ; {
		b := &x.buckets[i]
		for found := b.match(tag); found != 0; found &= found - 1 {
			if _, at := split(b[bits.TrailingZeros(found)]); k.is(t.records.key(at)) {
				return at, true
			}
		}
		if !b.full() {
			return 0, false
		}
		i = x.after(i)
	}
}

// Find returns the record of a key that has a dot. It is good until the next
// change.
func (t *Table) Find(k *Key) (at uint32, ok bool) {
	at, ok = t.search(k, k.tag(t.seed))
	return at, ok && t.dotAt(at) != 0
}

// record returns the record of a key, a new one without a dot if it has none.
func (t *Table) record(k *Key) uint32 {
	tag := k.tag(t.seed)
	if at, ok := t.search(k, tag); ok {
		return at
	}
	return t.insert(k, tag)
}

// insert gives a key that has none a record.
func (t *Table) insert(k *Key, tag uint32) uint32 {
	t.index.grow()
	at := t.records.add(k)
	t.index.put(entryOf(tag, at))
	return at
}

// All yields the keys that have a dot and their records, in the order in which
// they came. A key must not be modified, or kept beyond the next change. If the
// table is changed meanwhile, All may yield what has lost its dots, and the
// records are good only while Version is the same.
func (t *Table) All() iter.Seq2[uint32, []byte] {
	return func(yield func(uint32, []byte) bool) {
		then := records{chunks: slices.Clone(t.records.chunks)}
		for at, record := range then.all() {
			if t.living(dotOf(record)) != 0 && !yield(at, keyOf(record)) {
				return
			}
		}
	}
}

// Clone returns a copy that shares no mutable memory.
func (t *Table) Clone() *Table {
	c := *t
	c.seen = *t.seen.Clone()
	c.records = t.records.clone()
	c.index.buckets = slices.Clone(t.index.buckets)
	c.origins = slices.Clone(t.origins)
	for i := range c.origins {
		c.origins[i] = t.origins[i].clone()
	}
	c.numbers, c.far = maps.Clone(t.numbers), maps.Clone(t.far)
	c.lists.rows = slices.Clone(t.lists.rows)
	c.journal = t.journal.clone()
	c.wide = wides{slices.Clone(t.wide.dots), maps.Clone(t.wide.number), slices.Clone(t.wide.free)}
	return &c
}
