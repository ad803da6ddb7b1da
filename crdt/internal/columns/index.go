package columns

import "math/bits"

// An index finds records by their tags. It is an open-addressing table of
// buckets of one cache line: a search compares a whole bucket without a branch,
// so that a processor can begin the next search before this one's memory is
// there, and mostly needs no other bucket. Where an entry belongs ascends with
// its tag, so a larger table is filled from one end to the other.
type index struct {
	buckets []bucket
	used    int
}

// A bucket is entries, of which the free ones, which are 0, come last. An entry
// is a tag and a slot plus one. The next bucket goes on where one is full.
type bucket [bucketSize]uint64

const bucketSize = 8

func entryOf(tag, slot uint32) uint64 { return uint64(tag)<<32 | uint64(slot+1) }

// split returns the tag and the slot of an entry that is not free.
func split(entry uint64) (tag, slot uint32) { return uint32(entry >> 32), uint32(entry) - 1 }

// match returns a bit for each entry that has the tag, which is not 0.
func (b *bucket) match(tag uint32) (found uint) {
	for i, e := range b {
		differs := uint64(uint32(e>>32) ^ tag)
		found |= uint((differs-1)>>63) << i
	}
	return found
}

// full reports whether no entry is free.
func (b *bucket) full() bool { return b[bucketSize-1] != 0 }

// home returns the bucket in which the search for a tag begins.
func (x *index) home(tag uint32) int { return int(uint64(tag) * uint64(len(x.buckets)) >> 32) }

// after returns the bucket that goes on where one is full.
func (x *index) after(i int) int {
	if i++; i == len(x.buckets) {
		return 0
	}
	return i
}

// fits reports whether n entries leave the table free enough.
func (x *index) fits(n int) bool { return n <= len(x.buckets)*(bucketSize*3/4) }

// room returns how many buckets a table for n entries should have.
func room(n int) int { return n/(bucketSize*3/4) + 1 }

// grow makes room for one more entry, and half as many again.
func (x *index) grow() {
	if !x.fits(x.used + 1) {
		x.resize(room(x.used + x.used/3 + 1))
	}
}

// resize gives the table n buckets.
func (x *index) resize(n int) {
	old := x.buckets
	x.buckets, x.used = make([]bucket, n), 0
	for i := range old {
		for _, e := range old[i] {
			if e != 0 {
				x.put(e)
			}
		}
	}
}

// fill makes a table of the entries. same says whether the records of two with one
// tag are of the same key; if it ever is, fill returns false. same is nil where
// that cannot be.
func (x *index) fill(entries []uint64, same func(a, b uint32) bool) bool {
	x.buckets, x.used = make([]bucket, room(len(entries))), 0
	for _, e := range byHome(entries) {
		if same != nil && x.finds(e, same) {
			return false
		}
		x.put(e)
	}
	return true
}

// finds reports whether there is an entry for the same key.
func (x *index) finds(entry uint64, same func(a, b uint32) bool) bool {
	tag, at := split(entry)
	for i := x.home(tag); ; {
		b := &x.buckets[i]
		for found := b.match(tag); found != 0; found &= found - 1 {
			if _, other := split(b[bits.TrailingZeros(found)]); same(at, other) {
				return true
			}
		}
		if !b.full() {
			return false
		}
		i = x.after(i)
	}
}

// homeBits is how much of a tag entries are ordered by, and fewEntries how many
// are few enough for any order.
const (
	homeBits   = 8
	fewEntries = 1 << 12
)

// byHome returns entries in an order in which those come together that belong
// near to each other, so that filling a table looks at little memory at a time.
func byHome(entries []uint64) []uint64 {
	if len(entries) < fewEntries {
		return entries
	}
	var from [1<<homeBits + 1]int
	for _, e := range entries {
		from[e>>(64-homeBits)+1]++
	}
	for i := range 1 << homeBits {
		from[i+1] += from[i]
	}
	ordered := make([]uint64, len(entries))
	for _, e := range entries {
		home := e >> (64 - homeBits)
		ordered[from[home]] = e
		from[home]++
	}
	return ordered
}

// put stores an entry that is not there, for which there is room.
func (x *index) put(e uint64) {
	for i := x.home(uint32(e >> 32)); ; {
		b := &x.buckets[i]
		if !b.full() {
			free := 0
			for b[free] != 0 {
				free++
			}
			b[free] = e
			x.used++
			return
		}
		i = x.after(i)
	}
}
