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

// unmet is the last change of an origin that came and could not be applied, and
// the last that was applied when that was last looked at.
type unmet struct{ sent, applied uint64 }

// linkSpace is a link's state of one space.
type linkSpace struct {
	name      string
	whole     int     // bytes of a change that goes in one piece
	announced bool    // we have sent a Subscribe
	answered  bool    // and the peer has answered one
	unheard   bool    // but not the last
	out       *Outbox // nil until the peer has subscribed
	acked     *merge.VersionVector
	peer      *Frontier // last heard
	told      Summary   // last said
	repeat    bool      // and to be said again: who asks may not have heard it
	tree      tree
	common    Cursor                  // last reported as a Meeting
	agreed    Cursor                  // and as one that is sure
	active    bool                    // changes came since the last tick
	backoff   int                     // ticks between two requests that bring nothing
	waited    int                     // ticks since the last request
	sending   *sending                // a snapshot for the peer, nil for none
	receiving *receiving              // one from the peer
	ended     *SnapshotEnd            // one that waits until the clock has reached it
	stuck     bool                    // the log does not hold what the peer lacks, and no snapshot has ended
	doubt     bool                    // a snapshot did not add up: ask for everything
	unusable  int                     // snapshots one after the other that did not
	spelled   bool                    // the peer was told that some names mean nothing here
	spell     *merge.VersionVector    // and what the peer told of that, nil for nothing
	offered   map[merge.Origin]uint64 // what the peer has sent since the last tick
	unmet     map[merge.Origin]unmet  // what it sent before, and is not applied yet

	revoked     bool        // the peer does not let us have it
	probe       *probe      // for the last common change of an own origin, may be nil
	needed      bool        // the peer was asked for single changes since something is missing
	wanted      []Range     // the peer has asked for one by one
	sent, limit volume      // since the last Subscribed to the peer, and what it takes
	outgoing    *outgoing   // in fragments, nil for none
	incoming    []*incoming // of which fragments came last, a few
	had         []*Partial  // what the peer has of changes that are not on their way
	notices     []Nack      // of what the peer cannot take, to be said to it
	unsaid      []Nack      // the same, to be reported here
	// What the peer has sent since our last Subscribe, and may send.
	taken, granted volume
	audit          auditState
	forks          forkState
	owed           arrears // what the peer has announced and not sent
	brings         Rungs   // what the snapshot that comes counts as
}

const (
	maxBackoff = 63   // ticks
	maxUnmet   = 1024 // origins; no more are needed to see that there is a gap
)

func newLinkSpace(name string, whole int) *linkSpace {
	return &linkSpace{name: name, whole: whole, acked: &merge.VersionVector{}, backoff: 1}
}

// reset starts sending over from what the peer says it has, and returns the
// number of changes it lacks.
func (s *linkSpace) reset(known *merge.VersionVector, local Local, window volume) (missing uint64) {
	s.acked, s.sending, s.stuck = known.Clone(), nil, false
	s.sent, s.limit = volume{}, window
	if !s.busy() || !s.outgoing.asked {
		s.outgoing = nil
	}
	s.notices, s.unsaid = nil, nil
	s.renew(known.Clone()) // the frame may still be read
	return s.out.Fill(local)
}

// renew begins with a peer that has known, which it keeps.
func (s *linkSpace) renew(known *merge.VersionVector) {
	s.out = NewOutbox(s.name, known, nil)
	s.out.Split(s.whole)
}

func (s *linkSpace) ack(heads []merge.Dot) {
	for _, d := range heads {
		s.acked.Raise(d)
		s.out.Skip(d)
	}
}

// noteOffered notes that the peer has sent d.
func (s *linkSpace) noteOffered(d merge.Dot) {
	if s.offered == nil {
		s.offered = make(map[merge.Origin]uint64)
	}
	if len(s.offered) < maxUnmet {
		s.offered[d.Origin] = max(s.offered[d.Origin], d.Seq)
	}
}

// gap reports whether something that the peer sent before the last tick is
// still not applied: a change before it was lost, or it was refused. It moves if
// some of what is missing was applied meanwhile; a gap that closes says nothing of
// those that stay.
func (s *linkSpace) gap(local Local) (gap, moves bool) {
	for o, u := range s.unmet {
		head := local.Head(s.name, o)
		if head >= u.sent {
			delete(s.unmet, o)
			continue
		}
		gap, moves = true, moves || head > u.applied
		s.unmet[o] = unmet{u.sent, head}
	}
	for o, seq := range s.offered {
		if head := local.Head(s.name, o); seq > head && len(s.unmet) < maxUnmet {
			if s.unmet == nil {
				s.unmet = make(map[merge.Origin]unmet)
			}
			s.unmet[o] = unmet{max(s.unmet[o].sent, seq), head}
		}
	}
	clear(s.offered)
	return gap, moves
}

// stalled reports whether it is time to ask again: there is a gap, or nothing
// came since the last tick. The pauses between requests double while that stays
// so: what comes and is refused each time must not be asked for at every tick. They
// begin anew when a gap moves. A
// request that was not answered was lost, and is repeated without such a pause. A
// peer that sends without gaps is asked now and then all the same, because what
// it sends does not show what was lost of other origins.
func (s *linkSpace) stalled(local Local) bool {
	pause := s.backoff
	switch gap, moves := s.gap(local); {
	case s.active && !gap:
		s.backoff, pause = 0, maxBackoff
	case moves:
		s.backoff, pause = 0, 0
	case s.unheard:
		pause = min(pause, 1)
	}
	if s.waited++; s.waited <= pause {
		return false
	}
	if s.waited = 0; !s.unheard {
		s.backoff = min(2*s.backoff+1, maxBackoff)
	}
	return true
}

// settled notes that there is nothing to ask for.
func (s *linkSpace) settled() {
	s.backoff, s.waited, s.needed = 1, 0, false
	clear(s.offered)
	clear(s.unmet)
}

// Next returns the next data frame for the peer, nil when it has been sent
// everything or takes no more. Spaces take turns. An error comes from reading
// the log.
func (l *Link) Next() (Frame, error) {
	for range l.order {
		s := l.order[l.next%len(l.order)]
		l.next++
		if f, err := l.nextOf(s); f != nil || err != nil {
			return f, err
		}
	}
	return nil, nil
}

// take returns changes for one frame: those the peer asked for, then those it
// was not sent, unless one goes in fragments first. Nothing of a space goes out
// in which an own origin has forked.
func (l *Link) take(s *linkSpace) ([][]byte, error) {
	if !s.out.Pending() && len(s.wanted) == 0 && s.had == nil && !s.busy() {
		return nil, nil
	}
	count, size := l.room(s)
	if count == 0 || size == 0 || l.access(s.name) == AccessNone {
		return nil, nil
	}
	if batch := l.takeWanted(s, count, size); len(batch) > 0 || s.busy() || l.goOn(s) || s.probing() || s.tree.lazy {
		return batch, nil
	}
	return l.pushed(s, count, size)
}

// probing reports whether nothing may be sent because it is not known yet which
// changes of an own origin are to be taken back.
func (s *linkSpace) probing() bool { return s.probe != nil && !s.probe.foreign }

// A PeerSpace is what a link knows of the peer's state of one space.
type PeerSpace struct {
	Name    string
	Missing uint64    // changes here that the peer has not acknowledged
	Level   bool      // both have applied the same changes
	Forked  bool      // or rather changes of the same numbers, of which some differ
	Peer    *Frontier // what the peer last said, nil before it did
	Revoked bool      // the peer does not let this node have the space
}

// Report returns the state of each space of the link, by name.
func (l *Link) Report() []PeerSpace {
	out := make([]PeerSpace, 0, len(l.order))
	for _, s := range l.order {
		p := PeerSpace{Name: s.name, Peer: s.peer, Revoked: s.revoked}
		mine := l.local.Summary(s.name)
		p.Level = s.peer != nil && s.peer.Applied == mine.Applied
		p.Forked = p.Level && !s.forks.same(mine)
		for d := range l.local.Vector(s.name).Heads() {
			if !p.Level {
				p.Missing += d.Seq - min(d.Seq, s.acked.Get(d.Origin))
			}
		}
		out = append(out, p)
	}
	return out
}
