package op

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// stability is what is known of what others have delivered.
type stability struct {
	self    merge.Origin
	members map[merge.Origin]*merge.VersionVector // without self
	stable  merge.VersionVector
}

func newStability(self merge.Origin, members []merge.Origin) *stability {
	s := &stability{self: self, members: make(map[merge.Origin]*merge.VersionVector, len(members))}
	for _, o := range members {
		s.admit(o)
	}
	return s
}

// admit makes o a member and returns what it has, as far as is known.
func (s *stability) admit(o merge.Origin) *merge.VersionVector {
	v, ok := s.members[o]
	if !ok && o != s.self {
		v = &merge.VersionVector{}
		s.members[o] = v
	}
	return v
}

// learn takes from a delivered message what its author must have.
func (d *Delivery[M]) learn(h Header) {
	s, author := d.stability, h.Dot.Origin
	has := s.members[author]
	if has == nil && d.cfg.Learn {
		has = s.admit(author)
	}
	if has != nil {
		has.Raise(h.Dot)
		for _, dep := range h.Deps {
			if has.Raise(dep) {
				d.settle(dep.Origin)
			}
		}
	}
	d.settle(author)
}

// settle calls Stable for what everybody has of an origin.
func (d *Delivery[M]) settle(o merge.Origin) {
	s := d.stability
	have := d.seen.Get(o)
	for _, v := range s.members {
		have = min(have, v.Get(o))
	}
	for seq := s.stable.Get(o) + 1; seq <= have; seq++ {
		dot := merge.Dot{Origin: o, Seq: seq}
		s.stable.Raise(dot)
		delete(d.retained, dot)
		if d.cfg.Stable != nil {
			d.cfg.Stable(dot)
		}
	}
}

func (d *Delivery[M]) settleAll() {
	for _, head := range d.seen.Sorted() {
		d.settle(head.Origin)
	}
}

// Acknowledge takes word from a member of what it has delivered: its Vector. The
// vector is neither kept nor modified, but all origins that it names are
// remembered. From somebody who is no member, and whom Learn does not make one,
// it is a [*StrangerError].
func (d *Delivery[M]) Acknowledge(from merge.Origin, v *merge.VersionVector) error {
	if d.stability == nil || d.stability.members[from] == nil && !d.cfg.Learn {
		return &StrangerError{from}
	}
	if has := d.stability.admit(from); has != nil && has.Merge(v) {
		d.settleAll()
	}
	return nil
}

// Admit makes an origin a member. What is stable stays so.
func (d *Delivery[M]) Admit(o merge.Origin) {
	if d.stability == nil {
		d.stability = newStability(d.cfg.Self, nil)
	}
	d.stability.admit(o)
}

// Retire makes an origin no member any more: it blocks nothing.
func (d *Delivery[M]) Retire(o merge.Origin) {
	if d.stability != nil {
		delete(d.stability.members, o)
		d.settleAll()
	}
}

// Members returns the origins that stability waits for, ascending and without
// the Delivery's own.
func (d *Delivery[M]) Members() []merge.Origin {
	if d.stability == nil {
		return nil
	}
	return slices.SortedFunc(maps.Keys(d.stability.members), merge.Origin.Compare)
}

// Stable returns what every member is known to have, in a vector of the caller's
// own.
func (d *Delivery[M]) Stable() *merge.VersionVector {
	if d.stability == nil {
		return &merge.VersionVector{}
	}
	return d.stability.stable.Clone()
}

// Blocking returns who is not known to have the message, ascending: the members
// without it, and the Delivery's own origin if it has not delivered it.
func (d *Delivery[M]) Blocking(dot merge.Dot) (blocking []merge.Origin) {
	if !d.seen.Contains(dot) {
		blocking = append(blocking, d.cfg.Self)
	}
	for _, o := range d.Members() {
		if !d.stability.members[o].Contains(dot) {
			blocking = append(blocking, o)
		}
	}
	slices.SortFunc(blocking, merge.Origin.Compare)
	return blocking
}

// Resend yields the retained messages that a vector lacks, in the order of their
// numbers; a Delivery that receives them puts them in causal order.
func (d *Delivery[M]) Resend(lacking *merge.VersionVector) iter.Seq2[Header, M] {
	return func(yield func(Header, M) bool) {
		for _, dot := range slices.SortedFunc(maps.Keys(d.retained), compareSeqs) {
			if e := d.retained[dot]; !lacking.Contains(dot) && !yield(e.header, e.message) {
				return
			}
		}
	}
}

// compareSeqs orders dots by number, then by origin.
func compareSeqs(a, b merge.Dot) int {
	return cmp.Or(cmp.Compare(a.Seq, b.Seq), a.Origin.Compare(b.Origin))
}
