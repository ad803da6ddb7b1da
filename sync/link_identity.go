package sync

import (
	"crypto/sha256"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// clock returns the wall clock in Unix milliseconds, 0 if it is not to be told.
func (l *Link) clock() uint64 {
	if l.cfg.Clock == nil {
		return 0
	}
	return l.cfg.Clock()
}

func (l *Link) welcome(f *Hello) *Welcome {
	return &Welcome{Version: min(Version, f.MaxVersion), Heartbeat: l.cfg.Heartbeat, Until: l.grantOf.Until}
}

// known returns what this node has of the peer's origins in a space.
func (l *Link) known(space string) (known []Known) {
	for _, o := range l.origins() {
		if h := l.local.Last(space, o); h.Seq > 0 {
			known = append(known, Known{merge.Dot{Origin: o, Seq: h.Seq}, h.Hash})
		}
	}
	return known
}

// origins returns the peer's origin and its former ones, ascending.
func (l *Link) origins() []merge.Origin {
	at, found := slices.BinarySearchFunc(l.peer.Former, l.peer.Origin, merge.Origin.Compare)
	if found {
		return l.peer.Former
	}
	return slices.Insert(slices.Clone(l.peer.Former), at, l.peer.Origin)
}

// A Fork says that the peer has other changes under one of this node's origins,
// or more than this node has: it was restored from a backup, or copied.
type Fork struct {
	Space  string
	Origin merge.Origin // of this node, now or formerly
	// Common is the last change of the origin that both have. What this node
	// wrote under it afterwards, it wrote under dots that name other changes.
	Common uint64
	// Unsure is, if not 0, the last change of which nobody can tell any more whether
	// both have it. What is taken back and written again up to there may be the
	// peer's already.
	Unsure uint64
}

// probe looks for the last change of an origin that both have.
type probe struct {
	origin merge.Origin
	lo, hi uint64 // at lo both have the same change, or it is 0; at hi they do not
	ticks  int    // since it got an answer
	// foreign says that the origin is not this node's: what proves the fork is to be
	// found, and everything flows meanwhile.
	foreign  bool
	question uint64 // number of the last Ask
	blind    bool   // an answer told nothing
}

// maxProbe is how many ticks a probe waits for an answer.
const maxProbe = 16

// mends reports whether o is or was an origin of this node whose forks the driver
// mends in the space.
func (l *Link) mends(space string, o merge.Origin) bool {
	mine := o == l.cfg.Origin || slices.Contains(l.cfg.Former, o)
	return mine && l.cfg.Mends != nil && l.cfg.Mends(space, o)
}

// compare looks at what the peer has of this node's origins.
func (l *Link) compare(s *linkSpace, known []Known, r *Ready) {
	for _, k := range known {
		if !l.mends(s.name, k.Dot.Origin) {
			continue
		}
		if head := l.local.Last(s.name, k.Dot.Origin); k.Dot.Seq > head.Seq {
			l.behind(s, k.Dot.Origin, head.Seq, r)
		} else if own, ok := l.hashAt(s.name, k.Dot); ok && own != k.Hash && l.yields(k.Dot.Origin) {
			l.search(s, k.Dot, r)
		}
	}
}

// yields reports whether it is this node, of two that claim an origin, that takes
// back what it wrote: the one that has given the origin up, or of two such the
// one with the smaller origin. Who makes no claim keeps what it has.
func (l *Link) yields(o merge.Origin) bool {
	if !slices.Contains(l.peer.Former, o) {
		return true
	}
	return o != l.cfg.Origin && l.cfg.Origin.Compare(l.peer.Origin) < 0
}

// meetsCopy ends a link with the other end of which this node shares its origin.
// One of the two takes a new one.
func (l *Link) meetsCopy(f *Hello, r *Ready) {
	if l.cfg.Own == nil || l.cfg.Own(f.Nonce) {
		r.end("self", "both ends are the same node, or one is a copy of the other's data directory")
		return
	}
	if slices.Compare(l.cfg.Nonce[:], f.Nonce[:]) < 0 {
		r.Forks = append(r.Forks, Fork{Origin: l.cfg.Origin})
	}
	away := Goaway{Code: "renewed", Reason: "one end is a copy of the other's data directory and takes a new origin"}
	r.Send = append(r.Send, &away)
	r.Err = &GoawayError{away, false}
}

// behind looks whether the peer, which has more of an own origin, has all that this
// node wrote under it.
func (l *Link) behind(s *linkSpace, o merge.Origin, head uint64, r *Ready) {
	if _, ok := l.chainer(); !ok || head == 0 {
		l.outdated(s, o, r)
	} else if !s.forks.checked[o] && l.yields(o) {
		l.search(s, merge.Dot{Origin: o, Seq: head + 1}, r)
	}
}

// outdated notes that the peer has more of an origin than this node. Of a former
// one that is nothing new.
func (l *Link) outdated(s *linkSpace, o merge.Origin, r *Ready) {
	if o == l.cfg.Origin {
		r.Forks = append(r.Forks, Fork{Space: s.name, Origin: o, Common: l.local.Last(s.name, o).Seq})
	}
}

// hashAt returns the hash of a change of this node's log, false if the log does
// not tell.
func (l *Link) hashAt(space string, d merge.Dot) (Hash, bool) {
	if head := l.local.Last(space, d.Origin); head.Seq == d.Seq {
		return head.Hash, true
	}
	if c, ok := l.local.(Chainer); ok {
		return c.HashOf(space, d)
	}
	raw, err := l.local.Change(space, d)
	return sha256.Sum256(raw), err == nil
}

// search begins to look for the last change before d that both have.
func (l *Link) search(s *linkSpace, d merge.Dot, r *Ready) {
	if _, ok := l.chainer(); s.probe == nil && (ok || l.Both(FeatureNeed)) {
		s.probe = &probe{origin: d.Origin, hi: d.Seq, foreign: !l.mends(s.name, d.Origin)}
		l.probeNext(s, r)
	}
}

// probeNext asks for the change in the middle, or ends the search.
func (l *Link) probeNext(s *linkSpace, r *Ready) {
	p := s.probe
	if c, ok := l.chainer(); ok {
		l.probeChain(s, c, r)
		return
	}
	if p.lo+1 >= p.hi {
		r.Forks = append(r.Forks, Fork{Space: s.name, Origin: p.origin, Common: p.lo})
		return // the probe stays: nothing is sent until the driver has mended it
	}
	mid := p.lo + (p.hi-p.lo)/2
	r.Send = append(r.Send, &Need{s.name, []Range{{p.origin, mid, mid}}})
}

// probed takes the hash of a change that may answer the search.
func (l *Link) probed(s *linkSpace, d merge.Dot, hash func() Hash, r *Ready) {
	p := s.probe
	if _, ok := l.chainer(); ok || p == nil || d.Origin != p.origin || d.Seq <= p.lo || d.Seq >= p.hi {
		return
	}
	own, ok := l.hashAt(s.name, d)
	if !ok {
		s.probe = nil
		return
	}
	if p.ticks = 0; own == hash() {
		p.lo = d.Seq
	} else {
		p.hi = d.Seq
	}
	l.probeNext(s, r)
}

func (l *Link) tickProbe(s *linkSpace, r *Ready) {
	if s.probe == nil {
		return
	}
	if s.probe.ticks++; s.probe.ticks > maxProbe {
		s.probe = nil
		return
	}
	l.probeNext(s, r)
}

// ownRefused takes the refusal of a change that was written under one of this
// node's origins: it is this node that was restored or copied.
func (l *Link) ownRefused(s *linkSpace, e *RefusedError, r *Ready) {
	head := l.local.Last(s.name, e.Dot.Origin)
	if e.Dot.Origin == l.cfg.Origin && e.Dot.Seq > head.Seq {
		l.behind(s, e.Dot.Origin, head.Seq, r)
		return
	}
	l.search(s, merge.Dot{Origin: e.Dot.Origin, Seq: min(e.Dot.Seq, head.Seq)}, r)
}
