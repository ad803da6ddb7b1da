package sync

import (
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Roster is what a node knows of the members of a space besides itself. The
// zero value is not usable; see [NewRoster].
type Roster struct {
	self    merge.Origin
	members map[merge.Origin]*rosterEntry
	news    uint64 // number of the last change
}

type rosterEntry struct {
	Member
	from merge.Origin // who told the last news, zero for itself
	news uint64       // number of the last change worth telling
}

// maxRoster bounds the members of one space that others may tell of.
const maxRoster = 100_000

// NewRoster returns the roster of a node with what it knew before, which is news to
// whom it has not told it since. It keeps the members.
func NewRoster(self merge.Origin, known ...*Member) *Roster {
	r := &Roster{self: self, members: make(map[merge.Origin]*rosterEntry)}
	for _, m := range known {
		if m.Origin != self {
			r.members[m.Origin] = &rosterEntry{Member: *m}
			r.touch(r.of(m.Origin), merge.Origin{})
		}
	}
	return r
}

func (r *Roster) of(o merge.Origin) *rosterEntry {
	e, ok := r.members[o]
	if !ok {
		e = &rosterEntry{Member: Member{Origin: o}}
		r.members[o] = e
	}
	if e.Beyond == nil {
		e.Beyond = &merge.VersionVector{}
	}
	return e
}

func (r *Roster) touch(e *rosterEntry, from merge.Origin) {
	r.news++
	e.news, e.from = r.news, from
}

// Common returns the last cut in common with a member, the zero Cursor if there
// is none.
func (r *Roster) Common(o merge.Origin) (c Cursor) {
	if e := r.members[o]; e != nil {
		c = e.Common
	}
	return c
}

// Last returns the last cut that seemed to be in common with a member, the zero
// Cursor if there is none.
func (r *Roster) Last(o merge.Origin) (c Cursor) {
	if e := r.members[o]; e != nil {
		c = e.Last
	}
	return c
}

// Met notes a cut that a member has, or seems to have, in common with this node.
func (r *Roster) Met(o merge.Origin, c Cursor, sure bool) {
	e := r.of(o)
	if e.Last = c; sure && e.Common != c {
		e.Common, e.Beyond = c, &merge.VersionVector{}
		r.touch(e, merge.Origin{})
	}
}

// Has notes what a member says it has durably.
func (r *Roster) Has(o merge.Origin, heads []merge.Dot) {
	e, news := r.of(o), false
	for _, d := range heads {
		news = e.Beyond.Raise(d) || news
	}
	if news {
		r.touch(e, merge.Origin{})
	}
}

// seenStep is how many seconds pass before it is told on that a member is there.
const seenStep = 3600

// Heard notes that a member is there, and reports whether that is news.
func (r *Roster) Heard(o merge.Origin, name string, hub bool, now uint64) (news bool) {
	e := r.of(o)
	if e.Name == name && e.Hub == hub && now < e.Seen+seenStep {
		return false
	}
	e.Name, e.Hub, e.Seen = name, hub, max(e.Seen, now)
	r.touch(e, merge.Origin{})
	return true
}

// Turn retires a member or takes it back, and reports whether it was known.
func (r *Roster) Turn(o merge.Origin, retire bool) bool {
	e := r.members[o]
	if e == nil {
		return false
	}
	if e.Retired() != retire {
		e.Turns++
		r.touch(e, merge.Origin{})
	}
	return true
}

// Learn notes what another node tells of a member; at is the vector at its
// Common, nil if this node was never there: that part is then left out. It
// reports whether anything was news.
func (r *Roster) Learn(from merge.Origin, m *Member, at *merge.VersionVector) (news bool) {
	if m.Origin == r.self || r.members[m.Origin] == nil && len(r.members) >= maxRoster {
		return false
	}
	_, known := r.members[m.Origin]
	e := r.of(m.Origin)
	news = !known
	if m.Seen > e.Seen {
		news = news || m.Seen >= e.Seen+seenStep || m.Name != e.Name || m.Hub != e.Hub
		e.Name, e.Hub, e.Seen = m.Name, m.Hub, m.Seen
	}
	if m.Turns > e.Turns {
		e.Turns, news = m.Turns, true
	}
	if at != nil && m.Common.Position > e.Common.Position {
		e.Common, news = m.Common, true
		e.Beyond = above(e.Beyond, at)
	}
	if m.Beyond != nil && e.Beyond.Merge(m.Beyond) {
		news = true
	}
	if !news {
		return false
	}
	if e.Turns != m.Turns || e.Common != m.Common || m.Beyond == nil || !m.Beyond.Covers(e.Beyond) {
		from = merge.Origin{} // it knew less
	}
	r.touch(e, from)
	return true
}

// above returns what of v is not in at.
func above(v, at *merge.VersionVector) *merge.VersionVector {
	out := &merge.VersionVector{}
	for d := range v.Heads() {
		if !at.Contains(d) {
			out.Raise(d)
		}
	}
	return out
}

// News returns, oldest news first and at most a number at a time, what changed
// after the given number and another node may not know, and the number to go on
// from. The result is the caller's.
func (r *Roster) News(to merge.Origin, after uint64, most int) (list []*Member, upTo uint64) {
	if after == r.news {
		return nil, after
	}
	var fresh []*rosterEntry
	for o, e := range r.members {
		if e.news > after && e.from != to && o != to {
			fresh = append(fresh, e)
		}
	}
	upTo = r.news
	slices.SortFunc(fresh, func(a, b *rosterEntry) int { return int(a.news) - int(b.news) })
	if len(fresh) > most {
		fresh = fresh[:most]
		upTo = fresh[most-1].news
	}
	for _, e := range fresh {
		list = append(list, e.Member.clone())
	}
	slices.SortFunc(list, byOrigin)
	return list, upTo
}

func byOrigin(a, b *Member) int { return a.Origin.Compare(b.Origin) }

func (m *Member) clone() *Member {
	c := *m
	c.Beyond = m.Beyond.Clone()
	return &c
}

// Members returns what is known of all members, by origin, in memory of the
// caller's own.
func (r *Roster) Members() (list []*Member) {
	for _, o := range slices.SortedFunc(maps.Keys(r.members), merge.Origin.Compare) {
		list = append(list, r.members[o].clone())
	}
	return list
}

// Member returns what is known of one, nil if nothing is.
func (r *Roster) Member(o merge.Origin) *Member {
	if e := r.members[o]; e != nil {
		return r.of(o).clone()
	}
	return nil
}

// Counts reports whether a member is to be waited for at a time in Unix seconds:
// it is not retired, and it was heard within the lease, in seconds.
func (m *Member) Counts(now, lease uint64) bool { return !m.Retired() && now <= m.Seen+lease }

// Vector returns what the member has durably, as far as is known, in a vector of
// the caller's own. cut is as in [Cuts].
func (m *Member) Vector(cut func(Cursor) *merge.VersionVector) *merge.VersionVector {
	v := &merge.VersionVector{}
	if m.Common.Position > 0 {
		if at := cut(m.Common); at != nil {
			v = at
		}
	}
	if m.Beyond != nil {
		v.Merge(m.Beyond)
	}
	return v
}

// Stable returns the part of v that every one of the vectors contains: what is
// durable everywhere, if they are those of all members that count. The part is
// causally closed, as they are.
func Stable(v *merge.VersionVector, members ...*merge.VersionVector) *merge.VersionVector {
	out := &merge.VersionVector{}
	for d := range v.Heads() {
		for _, m := range members {
			d.Seq = min(d.Seq, m.Get(d.Origin))
		}
		if d.Seq > 0 {
			out.Raise(d)
		}
	}
	return out
}
