package columns

import "slices"

// A slot is one key: where it begins, relative to the base of the slots around
// it, and its dot. Three words of 32 bits, so that it takes 12 bytes.
type slot struct {
	low, high uint32
	place     uint32
}

func (s *slot) dot() packed { return packed(s.high)<<32 | packed(s.low) }

func (s *slot) setDot(p packed) { s.low, s.high = uint32(p), uint32(p>>32) }

const (
	groupBits = 12
	groupSize = 1 << groupBits
)

// slots are all slots in groups, each with the place of its first key. The keys
// of a group and what is lost between them take far less than 2^32 bytes.
type slots struct {
	groups [][]slot
	bases  []place
	moves  uint64 // how often they were copied or renumbered
}

func (s *slots) len() int {
	n := len(s.groups)
	if n == 0 {
		return 0
	}
	return (n-1)<<groupBits + len(s.groups[n-1])
}

func (s *slots) at(i uint32) *slot { return &s.groups[i>>groupBits][i&(groupSize-1)] }

func (s *slots) place(i uint32) place { return s.bases[i>>groupBits] + place(s.at(i).place) }

// add appends a slot without a dot for the key that begins at p.
func (s *slots) add(p place) uint32 {
	last := len(s.groups) - 1
	switch {
	case last < 0:
		s.groups, s.bases = append(s.groups, make([]slot, 0, 32)), append(s.bases, p)
	case len(s.groups[last]) < cap(s.groups[last]):
	case len(s.groups[last]) < groupSize:
		grown := make([]slot, 0, min(groupSize, 2*len(s.groups[last])))
		s.groups[last] = append(grown, s.groups[last]...)
		s.moves++
	default:
		s.groups, s.bases = append(s.groups, make([]slot, 0, groupSize)), append(s.bases, p)
	}
	last = len(s.groups) - 1
	s.groups[last] = append(s.groups[last], slot{place: uint32(p - s.bases[last])})
	return uint32(s.len() - 1)
}

func (s *slots) clone() slots {
	groups := slices.Clone(s.groups)
	for i := range groups {
		groups[i] = slices.Clone(groups[i])
	}
	return slots{groups, slices.Clone(s.bases), s.moves}
}
