package sync

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Gapper is a [Local] that knows what its early changes wait for.
type Gapper interface {
	// Missing returns changes that others wait for and that are not here, at
	// most n, ascending.
	Missing(space string, n int) []merge.Dot
}

// An Explainer is a [Local] that can say where a change is.
type Explainer interface {
	// Explain returns the answer to an Explain; its N is ignored.
	Explain(space string, d merge.Dot) Explained
}

// gaps returns the changes without which others cannot be applied, as ranges.
func (l *Link) gaps(s *linkSpace) (gaps []Range) {
	local, ok := l.local.(Gapper)
	if !ok {
		return nil
	}
	for _, d := range local.Missing(s.name, MaxRanges) {
		first := l.local.Head(s.name, d.Origin) + 1
		if last := len(gaps) - 1; last >= 0 && gaps[last].Origin == d.Origin {
			gaps[last].Last = d.Seq
		} else if first <= d.Seq {
			gaps = append(gaps, Range{d.Origin, first, d.Seq})
		}
	}
	return gaps
}

// need asks for what is known to be missing, once. It reports false if that is
// nothing, or if something is still missing after it asked: what waits shows only
// part of that, and a Subscribe has to find out the rest.
func (l *Link) need(s *linkSpace, r *Ready) bool {
	gaps := l.gaps(s)
	again := s.needed
	if s.needed = len(gaps) > 0; again || !s.needed || !l.Both(FeatureNeed) {
		return false
	}
	r.Send = append(r.Send, &Need{s.name, gaps})
	return true
}

// stepNeed puts what the peer needs before what it has not been sent.
func (l *Link) stepNeed(f *Need, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) { s.wanted = f.Ranges })
}

// takeWanted returns changes that the peer asked for one by one, within bounds
// like those of [Outbox.Take]. What the log does not hold is left out.
func (l *Link) takeWanted(s *linkSpace, count, size int) (batch [][]byte) {
	for len(s.wanted) > 0 && len(batch) < count {
		w := &s.wanted[0]
		if w.First > min(w.Last, l.local.Head(s.name, w.Origin)) {
			s.wanted = s.wanted[1:]
			continue
		}
		raw, err := l.local.Change(s.name, merge.Dot{Origin: w.Origin, Seq: w.First})
		if err == nil && len(raw) > s.whole {
			if !l.wantedLarge(s, merge.Dot{Origin: w.Origin, Seq: w.First}, len(batch)) {
				break
			}
			continue
		}
		if err != nil {
			s.wanted = s.wanted[1:]
			continue
		}
		if size -= len(raw); size < 0 && len(batch) > 0 {
			break
		}
		batch = append(batch, raw)
		s.wantNext()
	}
	return batch
}

// wantNext goes on behind the first change of what the peer asked for.
func (s *linkSpace) wantNext() {
	s.wanted = slices.Clone(s.wanted)
	s.wanted[0].First++
}

// wantedLarge begins to send a change that the peer asked for and that is too
// large for a frame, unless others are before it. It reports whether to go on.
func (l *Link) wantedLarge(s *linkSpace, d merge.Dot, before int) bool {
	switch {
	case !l.Both(FeatureFragment):
		s.wanted = s.wanted[1:]
		return true
	case before > 0 || s.busy() && s.outgoing.dot != d:
		return false
	}
	if l.beginLarge(s, d, true) != nil {
		s.wanted = s.wanted[1:]
		return true
	}
	s.wantNext()
	return false
}

func (l *Link) stepExplain(f *Explain, r *Ready) {
	e := Explained{State: "unknown", Reason: "this node does not say"}
	switch local, ok := l.local.(Explainer); {
	case l.access(f.Space) == AccessNone:
		e = Explained{State: "forbidden", Reason: "the credential does not cover the space"}
	case ok:
		e = local.Explain(f.Space, f.Dot)
	}
	e.N = f.N
	r.Send = append(r.Send, &e)
}
