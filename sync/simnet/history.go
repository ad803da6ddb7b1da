package simnet

import (
	"fmt"
	"math/bits"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A bitset is a set of changes by number.
type bitset []uint64

func (s bitset) has(i int) bool { return i>>6 < len(s) && s[i>>6]&(1<<(i&63)) != 0 }

func (s *bitset) add(i int) {
	for i>>6 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[i>>6] |= 1 << (i & 63)
}

func (s bitset) remove(i int) { s[i>>6] &^= 1 << (i & 63) }

func (s bitset) clone() bitset { return append(bitset(nil), s...) }

func (s bitset) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// missing returns the first member of s that is not in o, -1 if there is none.
func (s bitset) missing(o bitset) int {
	for k, w := range s {
		if k < len(o) {
			w &^= o[k]
		}
		if w != 0 {
			return k<<6 + bits.TrailingZeros64(w)
		}
	}
	return -1
}

// A record is what the simulator knows of one change, from having seen it made.
type record struct {
	id      int
	dot     merge.Dot
	label   string
	time    hlc.Timestamp
	ops     []Op
	visible bitset // what its author had applied when it wrote
	seen    bitset // what its ops have seen: visible, unless it was issued again
	raw     []byte
	acked   bool    // its writer was told that it is durable
	lost    bool    // a restore threw it away where nobody else had it
	aside   bool    // a node that does not know its types keeps it in quarantine
	again   *record // what its author has made of it after taking it back
	next    *record // with the same dot
}

// A holding is the changes that a node has applied in a space.
type holding struct {
	bitset
	newest *record // by stamp; nil for none
}

func (a *holding) add(r *record) {
	a.bitset.add(r.id)
	if a.newest == nil || a.newest.time < r.time {
		a.newest = r
	}
}

func (a holding) clone() holding { return holding{a.bitset.clone(), a.newest} }

// before reports whether the ops of b have seen a.
func (a *record) before(b *record) bool { return b.seen.has(a.id) }

// A history is every change that was ever durable in one space.
type history struct {
	space   string
	records []*record
	byDot   map[merge.Dot]*record
	touches map[thing][]touch
	things  []thing // keys of touches, in order of first use

	sessions SessionChecker
}

// A thing is what the specification speaks about: an element of a set, or an
// object without elements.
type thing struct{ object, kind, element string }

func (t thing) String() string {
	if t.element == "" {
		return fmt.Sprintf("%s %q", t.kind, t.object)
	}
	return fmt.Sprintf("element %q of %s %q", t.element, t.kind, t.object)
}

// A touch is an op of a recorded change.
type touch struct {
	*record
	op Op
}

func newHistory(space string) *history {
	return &history{space: space, byDot: make(map[merge.Dot]*record), touches: make(map[thing][]touch)}
}

// add records a change that has become durable at its author.
func (h *history) add(c *crdtsync.Change, label string, ops []Op, visible, seen bitset) *record {
	r := &record{
		id: len(h.records), dot: c.Dot, label: label, time: c.Time,
		ops: ops, visible: visible, seen: seen, raw: c.Bytes(), next: h.byDot[c.Dot],
	}
	h.records = append(h.records, r)
	h.byDot[c.Dot] = r
	for _, op := range ops {
		t := thing{op.Object, op.Kind, op.Element}
		if _, ok := h.touches[t]; !ok {
			h.things = append(h.things, t)
		}
		h.touches[t] = append(h.touches[t], touch{r, op})
	}
	return r
}

// alone reports whether no other change has the name of r.
func (h *history) alone(r *record) bool { return r.next == nil && h.byDot[r.dot] == r }

// required returns what every node has to hold in the end.
func (h *history) required() (s bitset) {
	for _, r := range h.records {
		if !r.lost && !r.aside && r.again == nil {
			s.add(r.id)
		}
	}
	return s
}
