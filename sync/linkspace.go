package sync

import (
	"github.com/joinery-crdt/joinery/merge"
)

// Bounds of one data frame. A frame holds at least one change, whatever its
// size, and MaxChange leaves room for the frame around it.
const (
	maxFrameChanges = 512
	maxFrameBytes   = 64 << 10
)

// linkSpace is a link's state of one space.
type linkSpace struct {
	name      string
	announced bool    // we have sent a Subscribe
	answered  bool    // and the peer has answered it
	out       *Outbox // nil until the peer has subscribed
	acked     *merge.VersionVector
	peer      *Frontier // last heard
	told      Summary   // last said
	repeat    bool      // and to be said again: who asks may not have heard it
	active    bool      // changes came since the last tick
	backoff   int       // ticks between two requests while nothing comes
	waited    int       // ticks since the last request
}

func newLinkSpace(name string) *linkSpace {
	return &linkSpace{name: name, acked: &merge.VersionVector{}, backoff: 1}
}

// reset starts sending over from what the peer says it has, and returns the
// number of changes it lacks.
func (s *linkSpace) reset(known *merge.VersionVector, local Local) (missing uint64) {
	s.acked.Merge(known)
	s.out = NewOutbox(s.name, known, nil)
	return s.out.Fill(local)
}

func (s *linkSpace) ack(heads []merge.Dot) {
	for _, d := range heads {
		s.acked.Raise(d)
		s.out.Skip(d)
	}
}

// stalled reports whether it is time to ask again: nothing came since the last
// tick. The pauses between requests double until something is applied: what
// comes and is refused each time must not be asked for at every tick.
func (s *linkSpace) stalled() bool {
	if s.active {
		s.waited = 0
		return false
	}
	if s.waited++; s.waited <= s.backoff {
		return false
	}
	s.backoff, s.waited = min(2*s.backoff+1, 63), 0
	return true
}

// Next returns the next data frame for the peer, nil when it has been sent
// everything. Spaces take turns. An error comes from reading the log.
func (l *Link) Next() (Frame, error) {
	for range l.order {
		s := l.spaces[l.order[l.next%len(l.order)]]
		l.next++
		batch, err := s.out.Take(l.local, maxFrameChanges, maxFrameBytes)
		if err != nil {
			return nil, err
		}
		if len(batch) > 0 {
			return &Changes{s.name, batch}, nil
		}
	}
	return nil, nil
}

// A PeerSpace is what a link knows of the peer's state of one space.
type PeerSpace struct {
	Name    string
	Missing uint64    // changes here that the peer has not acknowledged
	Level   bool      // both have applied the same changes
	Peer    *Frontier // what the peer last said, nil before it did
}

// Report returns the state of each space of the link, by name.
func (l *Link) Report() []PeerSpace {
	out := make([]PeerSpace, 0, len(l.order))
	for _, name := range l.order {
		s := l.spaces[name]
		p := PeerSpace{Name: name, Peer: s.peer}
		p.Level = s.peer != nil && s.peer.Applied == l.local.Summary(name).Applied
		for d := range l.local.Vector(name).Heads() {
			if !p.Level {
				p.Missing += d.Seq - min(d.Seq, s.acked.Get(d.Origin))
			}
		}
		out = append(out, p)
	}
	return out
}
