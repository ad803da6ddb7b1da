package columns

import "github.com/joinery-crdt/joinery/merge"

// Merge joins from into the receiver and reports a change. It visits the dots
// that from has and those that it has seen, or if there are more of these, the
// receiver's own. It neither modifies nor retains from.
func (t *Table) Merge(from *Table) (changed bool) {
	if t == from {
		return false
	}
	fresh := from.seen.Without(&t.seen)
	gone := t.mergeRemovals(from)
	for at, record := range from.records.all() {
		for p := range from.dotsOf(at) {
			more, change := t.mergeDot(from, keyOf(record), from.dot(p))
			gone, changed = append(gone, more...), changed || change
		}
	}
	changed = len(gone) > 0 || changed
	t.note(from, fresh, gone)
	changed = t.seen.Merge(&from.seen) || changed
	t.tidy()
	return changed
}

// note remembers what changes that are new to the table removed: dots that it
// had, and dots that it has not seen, which may be live elsewhere.
func (t *Table) note(from *Table, fresh *merge.Context, gone []merge.Dot) {
	if uint64(from.dots) != from.seen.Count() {
		for d := range fresh.Without(from.liveDots()).All() {
			if len(gone) >= t.removals() {
				raise(&t.journal.floor, fresh)
				return
			}
			gone = append(gone, d)
		}
	}
	if len(gone) > 0 && fresh.Count() == 0 {
		raise(&t.journal.floor, &t.seen) // which change it was, nobody can tell
		return
	}
	t.rememberAll(fresh, gone)
}

// mergeRemovals takes off the dots that from has seen and does not have, and
// returns them.
func (t *Table) mergeRemovals(from *Table) (gone []merge.Dot) {
	if from.seen.Count() <= uint64(t.dots) {
		for d := range from.seen.All() {
			if p, ok := t.packed(d); ok && !from.holds(d) {
				at, live := t.locate(p)
				if live {
					gone = append(gone, t.joinSlot(from, at)...)
				}
			}
		}
		return gone
	}
	for at := range t.records.all() {
		for p := range t.dotsOf(at) {
			if d := t.dot(p); from.seen.Contains(d) && !from.holds(d) {
				gone = append(gone, t.joinSlot(from, at)...)
				break
			}
		}
	}
	return gone
}

// mergeDot joins the dot d of one key of from, and returns what it took off.
func (t *Table) mergeDot(from *Table, key []byte, d merge.Dot) (gone []merge.Dot, added bool) {
	k := Raw(key)
	if !t.seen.Contains(d) {
		t.attach(t.record(&k), t.pack(d))
		return nil, true
	}
	other, twice := t.twice(&k, d)
	if !twice {
		return nil, false
	}
	k = Raw(t.records.key(other))
	if _, there := from.Find(&k); there {
		gone = t.joinSlot(from, other)
	}
	return gone, false
}

// twice returns the record that has d if its key is not k. Only an origin that
// lies or was used twice can bring that about.
func (t *Table) twice(k *Key, d merge.Dot) (at uint32, ok bool) {
	p, known := t.packed(d)
	if !known {
		return 0, false
	}
	at, live := t.locate(p)
	return at, live && !k.is(t.records.key(at))
}

// joinSlot takes off a record the dots that from has seen and does not have at its
// key, and returns them.
func (t *Table) joinSlot(from *Table, at uint32) (gone []merge.Dot) {
	k := Raw(t.records.key(at))
	theirs, there := from.Find(&k)
	for p := range t.dotsOf(at) {
		d := t.dot(p)
		if !from.seen.Contains(d) {
			continue
		}
		if q, known := from.packed(d); !there || !known || !from.has(theirs, q) {
			gone = append(gone, d)
		}
	}
	for _, d := range gone {
		p, _ := t.packed(d)
		t.detach(at, p)
	}
	return gone
}
