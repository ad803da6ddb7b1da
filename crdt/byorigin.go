package crdt

import (
	"encoding/binary"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// appendOwners appends the number of origins of m and the origins.
func appendOwners[V any, P merge.Ptr[V]](dst []byte, m *merge.ByOrigin[V, P]) []byte {
	dst = binary.AppendUvarint(dst, uint64(m.Len()))
	for o := range m.All() {
		dst = append(dst, o[:]...)
	}
	return dst
}

// readOwners reads what appendOwners appends, where at least more bytes
// follow for each origin.
func readOwners(r *varint.Reader, more int) []merge.Origin {
	origins := make([]merge.Origin, r.Count(len(merge.Origin{})+more))
	for i := range origins {
		copy(origins[i][:], r.Fixed(len(origins[i])))
		if i > 0 && origins[i].Compare(origins[i-1]) <= 0 {
			r.Fail("origins out of order")
			return nil
		}
	}
	return origins
}
