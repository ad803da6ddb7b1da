package columns

import "github.com/joinery-crdt/joinery/merge"

// Merge joins from into the receiver and reports a change. It visits the dots
// that from has and those that it has seen, or if there are more of these, the
// receiver's own. It neither modifies nor retains from.
func (t *Table) Merge(from *Table) (changed bool) {
	if t == from {
		return false
	}
	changed = t.mergeRemovals(from)
	for at := range uint32(from.slots.len()) {
		for p := range from.dotsOf(at) {
			changed = t.mergeDot(from, at, from.dot(p)) || changed
		}
	}
	changed = t.seen.Merge(&from.seen) || changed
	t.tidy()
	return changed
}

// mergeRemovals takes off the dots that from has seen and does not have.
func (t *Table) mergeRemovals(from *Table) (changed bool) {
	if from.seen.Count() <= uint64(t.dots) {
		for d := range from.seen.All() {
			if p, ok := t.packed(d); ok && !from.holds(d) {
				at, live := t.locate(p)
				changed = live && t.joinSlot(from, at) || changed
			}
		}
		return changed
	}
	for at := range uint32(t.slots.len()) {
		for p := range t.dotsOf(at) {
			if d := t.dot(p); from.seen.Contains(d) && !from.holds(d) {
				changed = t.joinSlot(from, at) || changed
				break
			}
		}
	}
	return changed
}

// mergeDot joins the dot d of one slot of from.
func (t *Table) mergeDot(from *Table, at uint32, d merge.Dot) bool {
	k := Raw(from.key(at))
	if !t.seen.Contains(d) {
		t.attach(t.slot(&k), t.pack(d))
		return true
	}
	other, twice := t.twice(&k, d)
	if !twice {
		return false
	}
	k = Raw(t.key(other))
	_, there := from.Find(&k)
	return there && t.joinSlot(from, other)
}

// twice returns the slot that has d if its key is not k. Only an origin that
// lies or was used twice can bring that about.
func (t *Table) twice(k *Key, d merge.Dot) (at uint32, ok bool) {
	p, known := t.packed(d)
	if !known {
		return 0, false
	}
	at, live := t.locate(p)
	return at, live && !k.begins(t.keys.from(t.slots.place(at)))
}

// joinSlot takes off a slot the dots that from has seen and does not have at its
// key.
func (t *Table) joinSlot(from *Table, at uint32) bool {
	k := Raw(t.key(at))
	theirs, there := from.Find(&k)
	var gone []packed
	for p := range t.dotsOf(at) {
		d := t.dot(p)
		if !from.seen.Contains(d) {
			continue
		}
		if q, known := from.packed(d); !there || !known || !from.has(theirs, q) {
			gone = append(gone, p)
		}
	}
	for _, p := range gone {
		t.detach(at, p)
	}
	return len(gone) > 0
}
