package sync

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// Missing returns changes that others wait for and that do not wait themselves,
// at most n, ascending.
func (s *Space) Missing(n int) (missing []merge.Dot) {
	for d := range s.waiting.blocked {
		if _, here := s.waiting.changes[d]; !here {
			missing = append(missing, d)
		}
	}
	slices.SortFunc(missing, merge.Dot.Compare)
	return missing[:min(n, len(missing))]
}

// Behind returns how many changes wait for d, and for those.
func (s *Space) Behind(d merge.Dot) (n int) {
	seen, list := make(map[merge.Dot]bool), []merge.Dot{d}
	for len(list) > 0 {
		d, list = list[0], list[1:]
		for _, w := range s.waiting.blocked[d] {
			if !seen[w] {
				seen[w] = true
				list = append(list, w)
			}
		}
	}
	return len(seen)
}

// WaitsFor returns what keeps a change that came early from being applied, and
// false if d did not come early.
func (s *Space) WaitsFor(d merge.Dot) (merge.Dot, bool) {
	c, ok := s.waiting.changes[d]
	if !ok {
		return merge.Dot{}, false
	}
	return s.FirstMissing(c), true
}

// FirstMissing returns a change that must be applied before c, the zero dot if
// there is none.
func (s *Space) FirstMissing(c *Change) merge.Dot {
	d, _ := firstMissing(c, s)
	return d
}
