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
