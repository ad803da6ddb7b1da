package sync

import (
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// forkState is what a link knows of forks in a space.
type forkState struct {
	theirs  *ChainPrint // last heard
	lineups pause       // between two tellings of all heads
	proofs  pause       // between two tellings of what proves forks
	told    int         // how many proofs were told
	alleged map[merge.Dot][]byte
	asked   uint64                // number of the last question
	checked map[merge.Origin]bool // own origins of which the peer has all that is here
	// unchecked is an own origin of which a snapshot of the peer has more.
	unchecked *merge.Origin
}

// pause counts ticks between two repetitions, which double.
type pause struct{ left, length int }

// over reports whether it is time, and begins the next pause if it is.
func (p *pause) over() bool {
	if p.left > 0 {
		p.left--
		return false
	}
	p.length = min(2*p.length+1, maxBackoff)
	p.left = p.length
	return true
}

// same reports whether nothing shows that the peer has other changes under the same
// numbers.
func (f *forkState) same(mine Summary) bool {
	return f.theirs == nil || *f.theirs == mine.Chains.chains()
}

// Bounds of what a link says and keeps of forks at a time.
const (
	maxProofs  = 4 // of two changes each
	maxAlleged = 8
)

// chainer returns the Local that can tell who has forked, if the peer listens.
func (l *Link) chainer() (Chainer, bool) {
	c, ok := l.local.(Chainer)
	return c, ok && l.Both(FeatureForks)
}

// stepForks takes the frames about forks.
func (l *Link) stepForks(f Frame, r *Ready) {
	c, ok := l.chainer()
	if !ok {
		return
	}
	switch f := f.(type) {
	case *Chains:
		l.withSpace(f.Space, r, func(s *linkSpace) { s.forks.theirs = &f.Print })
	case *Heads:
		l.withSpace(f.Space, r, func(s *linkSpace) { l.stepHeads(s, c, f, r) })
	case *Ask:
		l.withSpace(f.Space, r, func(s *linkSpace) {
			answer := &Heads{Space: s.name, N: f.N}
			for _, d := range f.Dots {
				if h, ok := c.HashOf(s.name, d); ok {
					answer.Known = append(answer.Known, Known{d, h})
				}
			}
			r.Send = append(r.Send, answer)
		})
	case *Forked:
		l.withSpace(f.Space, r, func(s *linkSpace) { l.stepForked(s, c, f, r) })
	}
}

// tickForks says what may show a fork, while the two sides are not known to have
// the same chains: all heads, if they have the same numbers and other changes, and
// what proves the forks that are known, if they have not.
func (l *Link) tickForks(s *linkSpace, mine Summary, level bool, r *Ready) {
	c, ok := l.chainer()
	if !ok {
		return
	}
	if level && s.forks.same(mine) {
		s.forks.lineups, s.forks.proofs = pause{}, pause{}
		return
	}
	if level && s.forks.lineups.over() {
		for known := range slices.Chunk(c.Chains(s.name), MaxHeads) {
			r.Send = append(r.Send, &Heads{Space: s.name, Known: known})
		}
	}
	if s.forks.proofs.over() {
		l.tellForks(s, c, r)
	}
}

// tellForks tells what proves the forks of a space, some at a time, as far as it
// fits into frames.
func (l *Link) tellForks(s *linkSpace, c Chainer, r *Ready) {
	most := MaxWhole
	if l.Both(FeaturePiece) {
		most = maxCellLong
	}
	splits := c.Splits(s.name)
	for range min(maxProofs, len(splits)) {
		split := splits[s.forks.told%len(splits)]
		if s.forks.told++; max(len(split.Changes[0]), len(split.Changes[1])) > most {
			continue // peers find it out when they meet the other branch
		}
		for _, raw := range split.Changes {
			r.Send = append(r.Send, &Forked{s.name, raw})
		}
	}
}

// stepHeads compares what the peer has with what is here.
func (l *Link) stepHeads(s *linkSpace, c Chainer, f *Heads, r *Ready) {
	if p := s.probe; p != nil && f.N != 0 && f.N == p.question {
		l.answered(s, c, f.Known, r)
		return
	}
	for _, k := range f.Known {
		if s.probe != nil || f.N != 0 {
			return
		}
		own, ok := c.HashOf(s.name, k.Dot)
		if ok && own != k.Hash && !l.mends(s.name, k.Dot.Origin) {
			l.search(s, k.Dot, r)
		}
	}
}

// answered narrows a search down.
func (l *Link) answered(s *linkSpace, c Chainer, known []Known, r *Ready) {
	p := s.probe
	lo, hi := p.lo, p.hi
	for _, k := range known {
		own, ok := c.HashOf(s.name, k.Dot)
		switch {
		case !ok || k.Dot.Origin != p.origin || k.Dot.Seq <= p.lo || k.Dot.Seq >= p.hi:
		case own == k.Hash:
			lo = max(lo, k.Dot.Seq)
		default:
			hi = min(hi, k.Dot.Seq)
		}
	}
	p.question = 0
	p.blind = lo == p.lo && hi == p.hi // neither side can tell
	p.lo, p.hi, p.ticks = lo, max(hi, lo+1), 0
	l.probeNext(s, r)
}

// points returns dots between which a search goes on, of which this side knows the
// hashes: all of them if they are few.
func (p *probe) points(c Chainer, space string) (dots []merge.Dot) {
	const few = 16
	step := max(1, (p.hi-p.lo)/few)
	for seq := p.lo + 1; seq < p.hi; seq += step {
		d := merge.Dot{Origin: p.origin, Seq: seq}
		if _, ok := c.HashOf(space, d); ok && len(dots) < MaxAsk {
			dots = append(dots, d)
		}
	}
	return dots
}

// probeChain goes on with a search by asking for hashes.
func (l *Link) probeChain(s *linkSpace, c Chainer, r *Ready) {
	p := s.probe
	dots := p.points(c, s.name)
	switch {
	case p.blind || p.lo+1 < p.hi && len(dots) == 0:
		l.gaveUp(s, r)
	case p.lo+1 < p.hi:
		if p.question == 0 {
			s.forks.asked++
			p.question = s.forks.asked
		}
		r.Send = append(r.Send, &Ask{s.name, p.question, dots})
	case p.foreign:
		r.Send = append(r.Send, &Need{s.name, []Range{{p.origin, p.hi, p.hi}}})
	default:
		l.foundCommon(s, r)
	}
}

// foundCommon ends a search for the last change of an own origin that both have.
// If nothing was written after it under an origin that is given up, or others'
// changes of that have come since, nothing is to be mended; else the search stays,
// and nothing is sent until that is done.
func (l *Link) foundCommon(s *linkSpace, r *Ready) {
	p := s.probe
	if p.origin != l.cfg.Origin && (p.lo == l.local.Head(s.name, p.origin) || !l.mends(s.name, p.origin)) {
		s.forks.check(p.origin)
		s.probe = nil
		return
	}
	r.Forks = append(r.Forks, Fork{Space: s.name, Origin: p.origin, Common: p.lo})
}

// check notes that the peer has all that this node wrote under an own origin.
func (f *forkState) check(o merge.Origin) {
	if f.checked == nil {
		f.checked = make(map[merge.Origin]bool)
	}
	f.checked[o], f.unchecked = true, nil
}

// noteHead notes a head of a snapshot that goes on from one of an own origin: what
// is merged must not take what this node wrote for something that was removed.
func (l *Link) noteHead(s *linkSpace, h OriginHead) {
	head := l.local.Head(s.name, h.Origin)
	if _, ok := l.chainer(); ok && head > 0 && h.Seq > head && !s.forks.checked[h.Origin] && l.mends(s.name, h.Origin) {
		s.forks.unchecked = &h.Origin
	}
}

// doubtful reports whether a snapshot that is complete has to wait, because it is
// not known yet whether the peer has all that this node wrote.
func (l *Link) doubtful(s *linkSpace, r *Ready) bool {
	if o := s.forks.unchecked; o != nil && !l.mends(s.name, *o) {
		s.forks.unchecked = nil
	} else if o != nil && s.probe == nil {
		l.search(s, merge.Dot{Origin: *o, Seq: l.local.Head(s.name, *o) + 1}, r)
	}
	return s.probing() || s.forks.unchecked != nil
}

// gaveUp ends a search that cannot be narrowed down further. Of an own origin
// everything is taken back that may not be the peer's: nothing is lost so.
func (l *Link) gaveUp(s *linkSpace, r *Ready) {
	p := s.probe
	if p.foreign {
		s.probe = nil
		return
	}
	r.Forks = append(r.Forks, Fork{Space: s.name, Origin: p.origin, Common: p.lo, Unsure: p.hi - 1})
}

// witnessing reports whether the peer's change with a dot is waited for, to prove
// a fork.
func (s *linkSpace) witnessing(d merge.Dot) bool {
	p := s.probe
	return p != nil && p.foreign && p.lo+1 == p.hi && d == (merge.Dot{Origin: p.origin, Seq: p.hi})
}

// witnessed takes the peer's change under the dot at which an origin was found to
// have forked.
func (l *Link) witnessed(s *linkSpace, d merge.Dot, raw []byte, r *Ready) {
	if !s.witnessing(d) {
		return
	}
	s.probe = nil
	if own, err := l.local.Change(s.name, d); err == nil {
		if split, ok := NewSplit(s.name, own, raw); ok {
			r.Splits = append(r.Splits, split)
		}
	}
}

// foreignFork looks into the refusal of a change whose origin has forked, or tells
// the peer of it if it is known.
func (l *Link) foreignFork(s *linkSpace, e *RefusedError, r *Ready) {
	c, ok := l.chainer()
	head := l.local.Last(s.name, e.Dot.Origin)
	switch {
	case !ok:
	case c.Severed(s.name, e.Dot.Origin) != 0:
		if s.forks.proofs.left > 0 {
			s.forks.proofs.left = 0 // at the next tick
		}
	case head.Seq > 0:
		l.search(s, merge.Dot{Origin: e.Dot.Origin, Seq: min(e.Dot.Seq, head.Seq)}, r)
	}
}

// stepForked takes one of two changes that prove a fork. The other may be here.
func (l *Link) stepForked(s *linkSpace, c Chainer, f *Forked, r *Ready) {
	h, err := ReadHeader(f.Change)
	if err != nil || l.access(s.name) < AccessWrite {
		return
	}
	if at := c.Severed(s.name, h.Dot.Origin); at != 0 && at <= h.Dot.Seq {
		return
	}
	if own, err := l.local.Change(s.name, h.Dot); err == nil && l.split(s, own, f.Change, r) {
		return
	}
	if other, ok := s.forks.alleged[h.Dot]; ok && l.split(s, other, f.Change, r) {
		delete(s.forks.alleged, h.Dot)
		return
	}
	if s.forks.alleged == nil || len(s.forks.alleged) >= maxAlleged {
		s.forks.alleged = make(map[merge.Dot][]byte)
	}
	s.forks.alleged[h.Dot] = f.Change
}

func (l *Link) split(s *linkSpace, a, b []byte, r *Ready) bool {
	split, ok := NewSplit(s.name, a, b)
	if ok {
		r.Splits = append(r.Splits, split)
	}
	return ok
}
