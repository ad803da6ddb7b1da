package crdt

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"maps"
	"math/bits"
	"slices"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// A fieldContent is what a field of a map holds: the canonical CBOR of a value,
// or nothing if the field was removed.
type fieldContent struct {
	size  uint8 // bytes of short, or isLong
	short [shortContent]byte
	long  []byte // shared, never modified
}

const (
	shortContent = 9 // all integers; a cell of a table is a key and 24 bytes then
	isLong       = 0xff
)

// contentOf returns the content of b, which it may keep.
func contentOf(b []byte) (c fieldContent) {
	if len(b) > shortContent {
		return fieldContent{size: isLong, long: b}
	}
	c.size = uint8(copy(c.short[:], b))
	return c
}

// bytes returns the content, which must not be modified.
func (c *fieldContent) bytes() []byte {
	if c.size == isLong {
		return c.long
	}
	return c.short[:c.size]
}

// A field is the content of a field and the stamp of its write.
type field struct {
	Stamp
	fieldContent
}

// latest returns the field in the form that decides which of two prevails.
func (f *field) latest() *Latest {
	return &Latest{f.Time, merge.Dot{Origin: f.Origin}, f.bytes()}
}

// A fieldCell is a field in a table. But for the key it has no pointers that the
// garbage collector would follow.
type fieldCell[K comparable] struct {
	key    K
	time   hlc.Timestamp
	origin uint32 // index into the origins of the table
	tag    uint16 // of the key's hash, 0 if the cell is free
	size   uint8  // as in fieldContent
	short  [shortContent]byte
}

// slot is where the long content of the cell is.
func (c *fieldCell[K]) slot() uint32 { return binary.LittleEndian.Uint32(c.short[:]) }

// A fieldTable is the fields of a map. Fields stay for ever, written over in
// place; an origin stays as well, even if later writes leave it no field.
//
// The cells are a hash table with linear probing. The hash is seeded anew for
// each table, so that nobody can choose keys that collide; nothing that is
// encoded depends on it.
type fieldTable[K comparable] struct {
	seed    maphash.Seed
	cells   []fieldCell[K] // a power of two, some are free
	used    int            // cells
	long    [][]byte       // the contents that are too long for a cell
	free    []uint32       // the unused entries of long
	origins []merge.Origin
	ids     map[merge.Origin]uint32 // into origins
	last    uint32                  // the origin of the last write
	present int                     // fields that hold a value
}

// newFieldTable returns an empty table with room for as many fields.
func newFieldTable[K comparable](fields int) *fieldTable[K] {
	return &fieldTable[K]{
		seed: maphash.MakeSeed(), ids: make(map[merge.Origin]uint32),
		cells: make([]fieldCell[K], max(8, 1<<bits.Len(uint(fields+fields/4)))),
	}
}

func (t *fieldTable[K]) clone() *fieldTable[K] {
	c := *t
	c.cells, c.long, c.free = slices.Clone(t.cells), slices.Clone(t.long), slices.Clone(t.free)
	c.origins, c.ids = slices.Clone(t.origins), maps.Clone(t.ids)
	return &c
}

// find returns the cell of k and true, or the free cell where it belongs, and
// the tag of k.
func (t *fieldTable[K]) find(k K) (c *fieldCell[K], tag uint16, ok bool) {
	hash := maphash.Comparable(t.seed, k)
	tag = uint16(hash>>48) | 1
	mask := uint64(len(t.cells) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		c = &t.cells[at]
		if c.tag == 0 || c.tag == tag && c.key == k {
			return c, tag, c.tag != 0
		}
	}
}

// insert makes the free cell c that of k, or another one if there is no more
// room: at most 4 cells in 5 are used.
func (t *fieldTable[K]) insert(c *fieldCell[K], tag uint16, k K) *fieldCell[K] {
	if t.used >= len(t.cells)/5*4 {
		t.grow()
		c, tag, _ = t.find(k)
	}
	t.used++
	c.key, c.tag = k, tag
	return c
}

func (t *fieldTable[K]) grow() {
	old := t.cells
	t.cells = make([]fieldCell[K], 2*len(old))
	for i := range old {
		if old[i].tag != 0 {
			c, _, _ := t.find(old[i].key)
			*c = old[i]
		}
	}
}

// fields yields the cells that are not free.
func (t *fieldTable[K]) fields() iter.Seq[*fieldCell[K]] {
	return func(yield func(*fieldCell[K]) bool) {
		for i := range t.cells {
			if c := &t.cells[i]; c.tag != 0 && !yield(c) {
				return
			}
		}
	}
}

// stamp returns the stamp of a cell.
func (t *fieldTable[K]) stamp(c *fieldCell[K]) Stamp { return Stamp{c.time, t.origins[c.origin]} }

// content returns the content of a cell.
func (t *fieldTable[K]) content(c *fieldCell[K]) fieldContent {
	if c.size == isLong {
		return fieldContent{size: isLong, long: t.long[c.slot()]}
	}
	return fieldContent{size: c.size, short: c.short}
}

// field returns what a cell holds.
func (t *fieldTable[K]) field(c *fieldCell[K]) field { return field{t.stamp(c), t.content(c)} }

// write replaces the field of k, unless that is a [*StaleError].
func (t *fieldTable[K]) write(k K, f *field) error {
	c, tag, ok := t.find(k)
	switch {
	case !ok && f.Stamp == Stamp{}:
		return &StaleError{}
	case !ok:
		c = t.insert(c, tag, k)
	case f.Time <= c.time: // nearly never
		if current := t.stamp(c); f.Stamp.Compare(current) <= 0 {
			return &StaleError{f.Stamp, current}
		}
	}
	t.set(c, f)
	return nil
}

// join replaces the field of k if the other one is later, and reports a change.
func (t *fieldTable[K]) join(k K, f *field) bool {
	c, tag, ok := t.find(k)
	if !ok {
		c = t.insert(c, tag, k)
	} else if f.Time <= c.time {
		mine := t.field(c)
		if f.latest().Compare(mine.latest()) <= 0 {
			return false
		}
	}
	t.set(c, f)
	return true
}

// set makes c hold f.
func (t *fieldTable[K]) set(c *fieldCell[K], f *field) {
	if len(t.origins) == 0 || t.origins[t.last] != f.Origin {
		t.last = t.id(f.Origin)
	}
	if c.size == 0 {
		t.present++
	}
	if f.size == 0 {
		t.present--
	}
	c.time, c.origin = f.Time, t.last
	if c.size == isLong || f.size == isLong {
		t.setLong(c, &f.fieldContent)
		return
	}
	c.size, c.short = f.size, f.short
}

// setLong is set for contents of which one is too long for the cell.
func (t *fieldTable[K]) setLong(c *fieldCell[K], to *fieldContent) {
	if to.size != isLong {
		t.long[c.slot()] = nil
		t.free = append(t.free, c.slot())
		c.size, c.short = to.size, to.short
		return
	}
	if c.size != isLong {
		c.size = isLong
		binary.LittleEndian.PutUint32(c.short[:], t.take())
	}
	t.long[c.slot()] = to.long
}

// take returns an unused entry of long.
func (t *fieldTable[K]) take() (slot uint32) {
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
		return slot
	}
	t.long = append(t.long, nil)
	return uint32(len(t.long) - 1)
}

// id returns the index of an origin.
func (t *fieldTable[K]) id(o merge.Origin) uint32 {
	i, ok := t.ids[o]
	if !ok {
		i = uint32(len(t.origins))
		t.origins, t.ids[o] = append(t.origins, o), i
	}
	return i
}
