package sync

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Keeper is a [Local] whose links share what has come of large changes.
type Keeper interface {
	// Partials calls fn with what has come in parts. fn does not keep it; calls
	// exclude each other.
	Partials(fn func(*Partials))
}

// A Slicer is a [Local] that reads a part of a change without the rest.
type Slicer interface {
	// ChangePart returns size bytes of an encoded change out of the log, from an
	// offset on.
	ChangePart(space string, d merge.Dot, offset, size int) ([]byte, error)
}

// outgoing is a change on its way to the peer in fragments. It holds a position,
// never the change.
type outgoing struct {
	dot      merge.Dot
	hash     Hash
	size, at uint64
	asked    bool // for by the peer, with a Need
}

// incoming is a change of which fragments come.
type incoming struct {
	partialKey
	have  uint64
	moved bool // since the last tick
	idle  int  // ticks without a fragment
	said  bool // how much there is, since the last tick
	at    uint64
}

func (c *LinkConfig) whole() int {
	if c.Whole > 0 {
		return c.Whole
	}
	return MaxWhole
}

func (c *LinkConfig) fragment() uint64 {
	if c.Fragment > 0 {
		return uint64(c.Fragment)
	}
	return fragmentBytes
}

// partials calls fn with what has come in parts.
func (l *Link) partials(fn func(*Partials)) {
	if k, ok := l.local.(Keeper); ok {
		k.Partials(fn)
		return
	}
	fn(&l.parts)
}

// pushed returns the next changes that were not sent. One that is too large for a
// frame begins to be sent in fragments, or is held back from a peer that knows
// none, with the later ones of its origin.
func (l *Link) pushed(s *linkSpace, count, size int) ([][]byte, error) {
	for {
		batch, err := s.out.Take(l.local, count, size)
		d, bytes, large := s.out.Large()
		if err != nil || len(batch) > 0 || !large {
			return batch, err
		}
		if o := s.outgoing; o != nil && o.dot == d { // it was asked for, and is sent
			if err := s.out.Pass(l.local); err != nil {
				return nil, err
			}
			continue
		}
		if !l.Both(FeatureFragment) {
			s.out.Hold()
			s.holdBack(d, bytes)
			continue
		}
		if err := l.beginLarge(s, d, false); err != nil {
			return nil, err
		}
		return nil, s.out.Pass(l.local)
	}
}

// holdBack notes that the peer cannot take a change, for both sides' people.
func (s *linkSpace) holdBack(d merge.Dot, bytes int) {
	reason := fmt.Sprintf("the change has %d bytes, and one of the two nodes takes none above %d: it lacks the feature %q", bytes, MaxWhole, FeatureFragment)
	n := Nack{Space: s.name, Dot: d, Code: "needs_upgrade", Class: ClassNeedsUpgrade, Reason: reason, Hint: "upgrade the peer: what the change holds, and what depends on it, waits for that"}
	s.unsaid = append(s.unsaid, n)
	n.Hint = "upgrade this node: what the change holds, and what depends on it, waits for that"
	s.notices = append(s.notices, n)
}

// notice returns what the peer is to hear of changes that it cannot take, nil for
// nothing.
func (s *linkSpace) notice() Frame {
	if len(s.notices) == 0 {
		return nil
	}
	n := s.notices[0]
	s.notices = s.notices[1:]
	return &n
}

// busy reports whether a change is on its way in fragments.
func (s *linkSpace) busy() bool { return s.outgoing != nil && s.outgoing.at < s.outgoing.size }

// single returns the next frame that carries one change or its refusal.
func (l *Link) single(s *linkSpace) Frame {
	if f := s.notice(); f != nil {
		return f
	}
	if f := l.nextFragment(s); f != nil {
		return f
	}
	return nil
}

// beginLarge begins to send a change in fragments, from where the peer has said
// that it is.
func (l *Link) beginLarge(s *linkSpace, d merge.Dot, asked bool) error {
	if o := s.outgoing; o != nil && o.dot == d && o.at < o.size {
		o.asked = o.asked || asked
		return nil
	}
	if src, ok := l.local.(Source); ok && d.Seq <= src.Floor(s.name, d.Origin) {
		return &TruncatedError{s.name, d} // since it was next in line
	}
	raw, err := l.local.Change(s.name, d)
	if err != nil {
		return err
	}
	o := &outgoing{dot: d, hash: sha256.Sum256(raw), size: uint64(len(raw)), asked: asked}
	if had := s.takeHad(d); had != nil && had.Hash == o.hash && had.Offset <= o.size {
		o.at = had.Offset
	}
	s.outgoing = o
	return nil
}

// takeHad returns what the peer has said of a change, and forgets it.
func (s *linkSpace) takeHad(d merge.Dot) (had *Partial) {
	s.had = slices.DeleteFunc(s.had, func(p *Partial) bool {
		if p.Dot == d {
			had = p
		}
		return p.Dot == d
	})
	return had
}

// goOn goes on with a change of which the peer says that it has a part, and
// reports whether there is one.
func (l *Link) goOn(s *linkSpace) bool {
	for len(s.had) > 0 {
		had := s.had[0]
		err := l.beginLarge(s, had.Dot, true)
		s.takeHad(had.Dot)
		if err == nil && s.outgoing.hash == had.Hash && s.busy() {
			return true
		}
		s.outgoing = nil
	}
	return false
}

// nextFragment returns the next fragment for the peer, nil if there is none or it
// takes no more.
func (l *Link) nextFragment(s *linkSpace) Frame {
	o := s.outgoing
	if !s.busy() || s.probing() && !o.asked {
		return nil
	}
	if count, size := l.room(s); count == 0 || size == 0 || l.access(s.name) == AccessNone {
		return nil
	}
	part, err := l.readPart(s, o)
	if err != nil {
		s.outgoing = nil // the log has been truncated meanwhile; the peer asks again
		return nil
	}
	f := &Fragment{s.name, o.dot, o.size, o.hash, o.at, part}
	o.at += uint64(len(part))
	s.sent = s.sent.plus(f.volume())
	return f
}

func (l *Link) readPart(s *linkSpace, o *outgoing) ([]byte, error) {
	n := min(l.cfg.fragment(), o.size-o.at)
	if local, ok := l.local.(Slicer); ok {
		return local.ChangePart(s.name, o.dot, int(o.at), int(n))
	}
	raw, err := l.local.Change(s.name, o.dot)
	if err != nil {
		return nil, err
	}
	return raw[o.at : o.at+n], nil
}

// volume is what a fragment counts for: its bytes, and the change when it ends.
func (f *Fragment) volume() (v volume) {
	v.bytes = uint64(len(f.Bytes))
	if f.Offset+v.bytes == f.Size {
		v.changes = 1
	}
	return v
}

// seek goes on at an offset, and returns what is to be sent again.
func (o *outgoing) seek(offset uint64) (again volume) {
	if offset < o.at {
		again.bytes = o.at - offset
		if o.at == o.size {
			again.changes = 1
		}
	}
	o.at = offset
	return again
}

// stepPartial goes on where the peer is.
func (l *Link) stepPartial(f *Partial, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		if o := s.outgoing; o != nil && o.dot == f.Dot && o.hash == f.Hash {
			s.sent = s.sent.minus(o.seek(min(f.Offset, o.size)))
			return
		}
		s.takeHad(f.Dot)
		s.had = appendFew(s.had, f)
	})
}

func (l *Link) stepFragment(f *Fragment, r *Ready) {
	if !l.Both(FeatureFragment) {
		return
	}
	l.withSpace(f.Space, r, func(s *linkSpace) {
		s.active = true
		s.noteOffered(f.Dot)
		l.probed(s, f.Dot, func() Hash { return f.Hash }, r)
		in := s.comes(partialKey{l.peer.Origin, s.name, f.Dot, f.Hash, f.Size})
		switch head := l.local.Last(s.name, f.Dot.Origin); {
		case !s.witnessing(f.Dot) && (f.Dot.Seq < head.Seq || f.Dot.Seq == head.Seq && f.Hash == head.Hash):
			l.knownFragment(s, in, f, r)
		case l.access(s.name) < AccessWrite:
			l.refuseFragment(s, in, f, r)
		default:
			l.takeFragment(s, in, f, r)
		}
		if len(r.Offer) == 0 {
			l.grant(s, r)
		}
	})
}

// comes returns what is known of a change of which fragments come.
func (s *linkSpace) comes(k partialKey) *incoming {
	for _, in := range s.incoming {
		if in.partialKey == k {
			return in
		}
	}
	in := &incoming{partialKey: k}
	s.incoming = appendFew(s.incoming, in)
	return in
}

// appendFew appends to a list of as many as are kept of a peer, in place of the one
// that came last if need be: see [Partials].
func appendFew[E any](list []E, e E) []E {
	return append(list[:min(len(list), maxPartialsOfOne-1)], e)
}

func (s *linkSpace) gone(in *incoming) {
	s.incoming = slices.DeleteFunc(s.incoming, func(o *incoming) bool { return o == in })
}

// knownFragment tells the peer that the rest is not needed.
func (l *Link) knownFragment(s *linkSpace, in *incoming, f *Fragment, r *Ready) {
	if l.foreign(s, f.Dot) {
		l.prune(s, r)
	}
	s.out.Skip(f.Dot)
	s.taken = s.taken.plus(f.volume())
	in.have = f.Size
	in.sayPartial(r)
	l.forget(in)
}

// refuseFragment does the same of a change that the peer may not write.
func (l *Link) refuseFragment(s *linkSpace, in *incoming, f *Fragment, r *Ready) {
	if !in.said {
		r.Send = append(r.Send, newNack(s.name, &RefusedError{f.Dot, ErrForbidden, "who sent it may read the space and not write it"}))
	}
	s.taken = s.taken.plus(f.volume())
	in.have = f.Size
	in.sayPartial(r)
}

// takeFragment keeps a fragment, and offers the change that it completes. A gap,
// or a beginning that is here already, is told to the peer.
func (l *Link) takeFragment(s *linkSpace, in *incoming, f *Fragment, r *Ready) {
	if f.Offset+uint64(len(f.Bytes)) > f.Size {
		return
	}
	var a arrival
	l.partials(func(p *Partials) { a = p.add(in.partialKey, l.cfg.Nonce, f.Offset, f.Bytes) })
	switch {
	case a.whole != nil:
		s.taken = s.taken.plus(f.volume())
		s.gone(in)
		l.takeWhole(s, f.Dot, a.whole, r)
		return
	case a.lied && !a.mixed:
		r.end("protocol", fmt.Sprintf("the fragments of change %s are not what their hash says", f.Dot))
		return
	case a.lied:
		in.have, in.said = 0, false
		in.sayPartial(r)
		return
	}
	if a.took {
		in.moved = true
		s.taken = s.taken.plus(f.volume())
	}
	in.have = a.have
	if end := f.Offset + uint64(len(f.Bytes)); f.Offset > in.have || f.Offset == 0 && end < in.have {
		in.sayPartial(r)
	}
}

func (l *Link) takeWhole(s *linkSpace, d merge.Dot, raw []byte, r *Ready) {
	if h, err := ReadHeader(raw); err != nil || h.Dot != d {
		r.end("protocol", fmt.Sprintf("the fragments of change %s are not of it", d))
		return
	}
	if _, err := l.stepChange(s, raw, MaxChange, r); err != nil {
		r.end("protocol", err.Error())
	}
}

// sayPartial tells the peer how much is here, the same once between two ticks.
func (in *incoming) sayPartial(r *Ready) {
	if in.said && in.at == in.have {
		return
	}
	in.said, in.at = true, in.have
	r.Send = append(r.Send, &Partial{in.space, in.dot, in.hash, in.have})
}

// tickFragments asks for the fragments that follow, where none came since the
// last tick, and reports whether some can be expected.
func (l *Link) tickFragments(s *linkSpace, r *Ready) (coming bool) {
	for _, in := range slices.Clone(s.incoming) {
		switch in.said, in.idle = false, in.idle+1; {
		case in.have == in.size || in.dot.Seq <= l.local.Head(s.name, in.dot.Origin):
			l.forget(in) // it came from elsewhere
			s.gone(in)
		case in.moved:
			in.moved, in.idle, coming = false, 0, true
		case in.idle >= maxIdle:
			s.gone(in) // what is here stays, as long as there is room
		default:
			coming = true
			in.sayPartial(r)
		}
	}
	return coming
}

func (l *Link) forget(in *incoming) {
	l.partials(func(p *Partials) { p.forget(in.partialKey) })
}

// resumes returns what to say before a space is asked for anew: how much is here
// of changes that this peer has begun to send.
func (l *Link) resumes(s *linkSpace) (frames []Frame) {
	if !l.Both(FeatureFragment) {
		return nil
	}
	l.partials(func(p *Partials) {
		for e := range p.of(l.peer.Origin, s.name) {
			if e.dot.Seq > l.local.Head(s.name, e.dot.Origin) {
				frames = append(frames, &Partial{s.name, e.dot, e.hash, uint64(len(e.buf))})
			}
		}
	})
	return frames
}

// stepPiece puts a long frame together, which the driver decodes.
func (l *Link) stepPiece(f *Piece, r *Ready) {
	if !l.Both(FeaturePiece) || f.Offset+uint64(len(f.Bytes)) > f.Size {
		return
	}
	k := partialKey{peer: l.peer.Origin, dot: merge.Dot{Seq: f.Number}, hash: f.Hash, size: f.Size}
	var a arrival
	l.partials(func(p *Partials) { a = p.add(k, l.cfg.Nonce, f.Offset, f.Bytes) })
	switch {
	case a.whole != nil:
		r.Long = append(r.Long, a.whole)
	case a.lied && !a.mixed:
		r.end("protocol", "the pieces of a frame are not what their hash says")
	}
}
