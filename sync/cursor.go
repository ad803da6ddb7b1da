package sync

import (
	"encoding/binary"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Cursor names a cut: what a space had applied at one time. It says how many
// changes that was and, in Print, which: 64 bits of the fingerprint of their
// vector. The zero Cursor names none.
//
// Because it says which, a cursor is good at every node that has passed the
// cut, and bad at one that came to the same number another way: one that was
// restored from a backup, say, and has gone on since.
type Cursor struct{ Position, Print uint64 }

// Cursor returns the name of the cut that the summary is of.
func (s Summary) Cursor() Cursor { return Cursor{s.Changes, s.Applied[0]} }

// Cuts is what a [Local] also implements whose links can resume from a cursor:
// rung 1a of the anti-entropy ladder.
type Cuts interface {
	// Cut returns the vector that the space had at the cut, in a vector of the
	// caller's own, or nil if it never was there or cannot tell any more.
	Cut(space string, c Cursor) *merge.VersionVector
	// Common returns the last cut that the space seems to have had in common with a
	// peer, the zero Cursor if there is none. Only what is durable counts.
	Common(space string, peer merge.Origin) Cursor
}

// A Meeting is a cut that a space and the link's peer have in common. A driver
// may forget it: it makes the next connection shorter, and nothing depends on
// it.
type Meeting struct {
	Space  string
	Cursor Cursor
	// Sure says that both have said which changes they have. Otherwise they have
	// as many, which may be others: the cut is good for resuming, where that shows,
	// and says nothing of what is durable at the peer.
	Sure bool
}

// cut returns the vector at c, nil if the node cannot tell.
func (l *Link) cut(space string, c Cursor) *merge.VersionVector {
	cuts, ok := l.local.(Cuts)
	if !ok || c.Position == 0 {
		return nil
	}
	return cuts.Cut(space, c)
}

// announce says to the peer what the node has of a space: by the last common cut where that is
// known and says enough, and by the vector otherwise.
func (l *Link) announce(s *linkSpace) []Frame {
	cuts, ok := l.local.(Cuts)
	if !ok {
		return l.subscribe(s)
	}
	c := cuts.Common(s.name, l.peer.Origin)
	at := l.cut(s.name, c)
	if !l.worthResuming(s.name, at) {
		return l.subscribe(s)
	}
	mark, known := l.mark(s.name, at, l.peer.Origin)
	if !known {
		return l.subscribe(s)
	}
	s.begin(l.cfg.window())
	s.owed.ask(true)
	return append(l.resumes(s), &Resume{s.name, c, mark})
}

// Bytes that a change and an origin in a vector take, roughly.
const (
	changeBytes = 80
	originBytes = 18
)

// worthResuming reports whether a cut with the vector at tells the peer as much as
// the vector would: what came from others since then is sent once more.
func (l *Link) worthResuming(space string, at *merge.VersionVector) bool {
	if at == nil {
		return false
	}
	now := l.local.Vector(space)
	again := uint64(0)
	for d := range now.Heads() {
		if d.Origin != l.cfg.Origin {
			again += d.Seq - at.Get(d.Origin)
		}
	}
	return changeBytes*again <= originBytes*uint64(now.Len())
}

// Shares reports whether the peer has asked for the space and may have it.
func (l *Link) Shares(space string) bool {
	s, ok := l.spaces[space]
	return ok && s.out != nil && l.admitted() && l.access(space) != AccessNone
}

// mark returns the mark of an origin at a cut, and false if the log no longer
// holds the change that it is of.
func (l *Link) mark(space string, at *merge.VersionVector, o merge.Origin) (mark uint32, known bool) {
	d := merge.Dot{Origin: o, Seq: at.Get(o)}
	if d.Seq == 0 {
		return 0, true
	}
	h, ok := l.hashAt(space, d)
	if !ok {
		return 0, false
	}
	return binary.BigEndian.Uint32(h[:]), true
}

// marked reports whether the peer means the same changes of this node by a cut
// as it has. A mark that cannot be told any more is let pass: the vector that
// would be asked for instead says no more.
func (l *Link) marked(space string, at *merge.VersionVector, mark uint32) bool {
	own, known := l.mark(space, at, l.cfg.Origin)
	return own == mark || !known
}

// stepResume answers from the cut, or asks for the vector.
func (l *Link) stepResume(f *Resume, r *Ready) {
	if l.forbidden(f.Space, r) {
		return
	}
	l.withSpace(f.Space, r, func(s *linkSpace) {
		s.revoked = false
		if at := l.cut(s.name, f.Cursor); at != nil && l.marked(s.name, at, f.Mark) {
			l.answer(s, at, l.knownAbove(s.name, at), r)
			return
		}
		r.Send = append(r.Send, &Rewind{s.name})
	})
}

// knownAbove is known without what the peer has anyhow: at the cut, it was what
// it is here.
func (l *Link) knownAbove(space string, at *merge.VersionVector) []Known {
	return slices.DeleteFunc(l.known(space), func(k Known) bool { return at.Contains(k.Dot) })
}

// stepRewind steps down to the vector.
func (l *Link) stepRewind(f *Rewind, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) { l.ask(s, r) })
}

// position returns what to say with a frame after which the peer has been sent
// everything, and 0 with any other.
func (l *Link) position(s *linkSpace) uint64 {
	if s.out == nil || s.out.Pending() {
		return 0
	}
	return l.local.Summary(s.name).Changes
}

// positionAfter returns what to say with the changes just taken. With a run it is
// the run's, although the space may have gone on and the link not heard of it yet:
// so all who are level say the same.
func (l *Link) positionAfter(s *linkSpace) uint64 {
	if s.out == nil {
		return 0
	}
	total := s.out.total
	if s.out.total = 0; total == 0 || s.out.Pending() {
		return l.position(s)
	}
	return total
}

// meet notes that the peer has as many changes as the space, if it does. That
// they are the same ones is sure, or shows when the cursor is used.
func (l *Link) meet(s *linkSpace, position uint64, sure bool, r *Ready) {
	c := l.local.Summary(s.name).Cursor()
	if position != c.Position || position == 0 || c == s.agreed || c == s.common && !sure {
		return
	}
	if s.common = c; sure {
		s.agreed = c
	}
	r.Meetings = append(r.Meetings, Meeting{s.name, c, sure})
}
