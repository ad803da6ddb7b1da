package columns

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A journal remembers for a while which changes removed which dots, so that
// [Table.Since] can tell a replica what it still has to remove and no more. It
// is a ring: what is forgotten is in the floor.
type journal struct {
	ring   []removal
	next   int             // where the ring goes on, once it is full
	groups []merge.Context // sets of changes, numbered from base
	base   uint64
	// A replica that has not seen all of floor may lack removals that are
	// forgotten, and one that has not seen all of early some of old: what had
	// been removed when the table was loaded.
	floor, early merge.VersionVector
	old          merge.Context
}

// A removal is a dot that was removed and by what: a change, or with the origin
// number listOrigin, one of the changes of a group.
type removal struct{ by, gone packed }

// Bounds of what is remembered: removals of a table of any size, one more for so
// many keys, and groups.
const (
	fewRemovals = 8192
	keysPerMore = 8
	mostGroups  = 256
)

// manyKeys is up to how many keys a table that is loaded finds out what was
// removed of it: that takes memory for each.
const manyKeys = 1 << 16

// removals returns how many removals are remembered.
func (t *Table) removals() int { return fewRemovals + t.live/keysPerMore }

// remember notes that a change removed a dot, here or where it is live.
func (t *Table) remember(by, gone merge.Dot) {
	p, ok := t.small(by)
	if q, fits := t.small(gone); ok && fits {
		t.push(removal{p, q})
		return
	}
	t.journal.floor.Raise(by)
}

// small returns the packed form of a dot that need not be live, if it fits.
func (t *Table) small(d merge.Dot) (packed, bool) {
	n := t.intern(&d.Origin)
	return pack(n, d.Seq), n < listOrigin && d.Seq <= seqMask
}

// rememberAll notes that one of many changes removed each of the dots.
func (t *Table) rememberAll(by *merge.Context, gone []merge.Dot) {
	if len(gone) == 0 {
		return
	}
	j := &t.journal
	if len(j.groups) == mostGroups {
		raise(&j.floor, &j.groups[0])
		j.groups = slices.Delete(j.groups, 0, 1)
		j.base++
	}
	group := pack(listOrigin, j.base+uint64(len(j.groups)))
	j.groups = append(j.groups, *by)
	for _, d := range gone {
		if p, fits := t.small(d); fits {
			t.push(removal{group, p})
		} else {
			raise(&j.floor, by)
		}
	}
}

// push adds a removal to the ring, and forgets the one it takes the place of.
func (t *Table) push(r removal) {
	j := &t.journal
	if len(j.ring) < t.removals() {
		if j.next != 0 { // the table has grown: put the ring in order
			j.ring = slices.Concat(j.ring[j.next:], j.ring[:j.next])
			j.next = 0
		}
		j.ring = append(j.ring, r)
		return
	}
	if old := j.ring[j.next]; old.by.origin() != listOrigin {
		j.floor.Raise(t.dot(old.by))
	} else if g := j.group(old.by); g != nil {
		raise(&j.floor, g)
	}
	j.ring[j.next] = r
	if j.next++; j.next == len(j.ring) {
		j.next = 0
	}
}

// group returns the changes of a group, nil if they are forgotten.
func (j *journal) group(p packed) *merge.Context {
	if i := p.seq() - j.base; p.seq() >= j.base && i < uint64(len(j.groups)) {
		return &j.groups[i]
	}
	return nil
}

// raise raises a floor over the changes.
func raise(floor *merge.VersionVector, changes *merge.Context) {
	for s := range changes.Spans() {
		floor.Raise(merge.Dot{Origin: s.Origin, Seq: s.Last})
	}
}

// covers reports whether all of floor is in seen.
func covers(seen *merge.Context, floor *merge.VersionVector) bool {
	if floor.Len() == 0 {
		return true
	}
	whole := seen.Vector()
	for d := range floor.Heads() {
		if !whole.Contains(d) {
			return false
		}
	}
	return true
}

// Loaded is called when all keys are loaded: of what was removed before, the
// table does not know by which changes.
func (t *Table) Loaded() {
	t.journal = journal{}
	j := &t.journal
	switch dead := t.seen.Count() - uint64(t.dots); {
	case dead == 0:
	case dead > uint64(t.removals()) || t.live > manyKeys:
		raise(&j.floor, &t.seen)
	default:
		j.old = *t.seen.Without(t.liveDots())
		raise(&j.early, &t.seen)
	}
}

func (j *journal) clone() journal {
	c := *j
	c.ring, c.groups = slices.Clone(j.ring), slices.Clone(j.groups)
	for i := range c.groups {
		c.groups[i] = *j.groups[i].Clone()
	}
	c.floor, c.early, c.old = *j.floor.Clone(), *j.early.Clone(), *j.old.Clone()
	return c
}
