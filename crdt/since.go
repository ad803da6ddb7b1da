package crdt

import "github.com/joinery-crdt/joinery/merge"

// Since returns a delta that takes a replica which has seen known to the join
// with the set: what was added that the replica has not seen, and what was
// removed by changes that it has not seen. A replica sends its Context, and gets
// the delta for it; two such exchanges make two replicas equal.
//
// It holds among replicas that merge each delta after those its author had seen,
// as those do that only exchange such deltas and states. The cost is that of the
// difference, unless the set was small when it was made or known is older than
// the last thousand removals and more: then Since visits the whole set and the
// delta names everything that was ever removed. The delta shares no mutable
// memory with the set.
//
// Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types", 2018.
func (s *ORSet[T]) Since(known *merge.Context) *ORSet[T] {
	if s.many == nil {
		return &ORSet[T]{few: s.small().Since(known)}
	}
	return &ORSet[T]{many: s.many.Since(known)}
}

// Since returns a delta that takes a replica which has seen known to the join
// with the set, as [ORSet.Since] does. It visits the whole set.
func (s *RWSet[T]) Since(known *merge.Context) *RWSet[T] {
	return &RWSet[T]{*s.dots.Since(known)}
}
