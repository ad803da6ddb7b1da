package sync

import "github.com/joinery-crdt/joinery/merge"

// Note notes what a frame says of the member that sent it, or of others, and
// returns the origins of which it says something: that is to be kept. cut is as in
// [Cuts]. The caller has made sure that the member may speak of the space.
func (r *Roster) Note(from merge.Origin, f Frame, cut func(Cursor) *merge.VersionVector) (of []merge.Origin) {
	switch f := f.(type) {
	case *Ack:
		r.Has(from, f.Heads)
		of = append(of, from)
	case *Subscribe:
		r.Has(from, f.Vector.Sorted())
		of = append(of, from)
	case *Members:
		for _, m := range f.Members {
			if m.Origin != r.self {
				r.Learn(from, m, cut(m.Common))
				of = append(of, m.Origin)
			}
		}
	}
	return of
}

// TellMembers returns the frames that tell another node of members, none for none of
// them. common is the last cut in common with it: a member is told by that cut, or
// by its vector. It keeps the members.
func TellMembers(space string, list []*Member, common Cursor, cut func(Cursor) *merge.VersionVector) []Frame {
	for _, m := range list {
		if m.Common != common {
			m.Common, m.Beyond = Cursor{}, m.Vector(cut)
		}
	}
	return SplitMembers(space, list)
}

// Renewed returns the roster of the same node under another origin, and whose
// entries have changed: those of all, if the cuts in common with them are no more.
func (r *Roster) Renewed(self merge.Origin, cutsGone bool) (now *Roster, changed []merge.Origin) {
	known := r.Members()
	for _, m := range known {
		if cutsGone {
			m.Last, m.Common, m.Beyond = Cursor{}, Cursor{}, &merge.VersionVector{}
			changed = append(changed, m.Origin)
		}
	}
	return NewRoster(self, known...), changed
}
