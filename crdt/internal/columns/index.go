package columns

// An index finds records by their tags: an open-addressing table with linear
// probing, of which an entry is a tag and a slot plus one. Where an entry
// belongs ascends with its tag, so a larger table is filled from one end to the
// other.
type index struct {
	entries []uint64 // 0 is free
	used    int
}

func entryOf(tag, slot uint32) uint64 { return uint64(tag)<<32 | uint64(slot+1) }

// split returns the tag and the slot of an entry that is not free.
func split(entry uint64) (tag, slot uint32) { return uint32(entry >> 32), uint32(entry) - 1 }

// home returns where the search for a tag begins.
func (x *index) home(tag uint32) int { return int(uint64(tag) * uint64(len(x.entries)) >> 32) }

// fits reports whether n entries leave the table free enough.
func (x *index) fits(n int) bool { return n <= len(x.entries)/4*3 }

// room returns how large a table for n entries should be.
func room(n int) int { return max(16, n/3*4+4) &^ 3 }

// grow makes room for one more entry, and half as many again.
func (x *index) grow() {
	if !x.fits(x.used + 1) {
		x.resize(room(x.used + x.used/3 + 1))
	}
}

func (x *index) resize(n int) {
	old := x.entries
	x.entries, x.used = make([]uint64, n), 0
	for _, e := range old {
		if e != 0 {
			x.put(e)
		}
	}
}

// put stores an entry that is not there, for which there is room.
func (x *index) put(e uint64) {
	i := x.home(uint32(e >> 32))
	for x.entries[i] != 0 {
		if i++; i == len(x.entries) {
			i = 0
		}
	}
	x.entries[i] = e
	x.used++
}
