package bench

// A Dot names one change of one replica.
type Dot struct {
	Replica string
	Seq     uint64
}

// A TextbookORSet is the observed-remove set as papers print it: a map from
// elements to sets of dots, a version vector, and a merge that walks both
// states. It is the baseline, not a recommendation.
type TextbookORSet struct {
	Elements map[string]map[Dot]struct{}
	Vector   map[string]uint64
}

// NewTextbookORSet returns an empty set.
func NewTextbookORSet() *TextbookORSet {
	return &TextbookORSet{make(map[string]map[Dot]struct{}), make(map[string]uint64)}
}

// Add adds v as replica r.
func (s *TextbookORSet) Add(r, v string) {
	s.Vector[r]++
	s.Elements[v] = map[Dot]struct{}{{r, s.Vector[r]}: {}}
}

// Merge joins o into s.
func (s *TextbookORSet) Merge(o *TextbookORSet) {
	for v, dots := range s.Elements {
		for d := range dots {
			if _, theirs := o.Elements[v][d]; !theirs && d.Seq <= o.Vector[d.Replica] {
				delete(dots, d)
			}
		}
		if len(dots) == 0 {
			delete(s.Elements, v)
		}
	}
	for v, dots := range o.Elements {
		for d := range dots {
			if d.Seq > s.Vector[d.Replica] {
				if s.Elements[v] == nil {
					s.Elements[v] = make(map[Dot]struct{})
				}
				s.Elements[v][d] = struct{}{}
			}
		}
	}
	for r, seq := range o.Vector {
		s.Vector[r] = max(s.Vector[r], seq)
	}
}
