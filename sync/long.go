package sync

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// Origins in one vector: of a frame, and of one that goes in pieces. Each takes
// at most 26 bytes.
const (
	maxOrigins     = 8192
	maxLongOrigins = 160_000
)

// fit returns as much of v as a frame to the peer may say, and the rest.
func (l *Link) fit(v *merge.VersionVector) (first *merge.VersionVector, rest []merge.Dot) {
	limit := maxOrigins
	if l.Both(FeaturePiece) {
		limit = maxLongOrigins
	}
	if v.Len() <= limit {
		return v, nil
	}
	dots := v.Sorted()
	return merge.VectorOf(dots[:limit]...), dots[limit:]
}

// acks returns the frames that acknowledge dots, ascending: one, if they are not
// very many. The position is in the last.
func acks(space string, dots []merge.Dot, position uint64) (frames []Frame) {
	for some := range slices.Chunk(dots, maxOrigins) {
		frames = append(frames, &Ack{space, some, 0})
	}
	if len(frames) > 0 {
		frames[len(frames)-1].(*Ack).Position = position
	}
	return frames
}

// memberCost is what a member takes of a frame besides its vector, in origins.
const memberCost = 16

// SplitMembers returns frames that tell of members, by origin: one, unless their
// vectors are long. A member whose vector no frame holds is in several, with a
// part of it in each.
func SplitMembers(space string, list []*Member) (frames []Frame) {
	var last *Members
	room := 0
	for _, m := range list {
		for _, part := range m.parts() {
			cost := memberCost + part.Beyond.Len()
			if room -= cost; last == nil || room < 0 {
				last, room = &Members{Space: space}, maxOrigins-cost
				frames = append(frames, last)
			}
			last.Members = append(last.Members, part)
		}
	}
	return frames
}

// parts returns a member cut into such as fit a frame, one each.
func (m *Member) parts() (parts []*Member) {
	const most = maxOrigins - memberCost
	if m.Beyond.Len() <= most {
		return []*Member{m}
	}
	for some := range slices.Chunk(m.Beyond.Sorted(), most) {
		part := *m
		part.Beyond = merge.VectorOf(some...)
		parts = append(parts, &part)
	}
	return parts
}
