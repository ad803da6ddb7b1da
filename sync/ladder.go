package sync

import (
	"errors"

	"github.com/joinery-crdt/joinery/merge"
)

// Bounds of one chunk: bytes of cells, keys looked up together, and heads.
const (
	chunkBytes = 48 << 10
	chunkKeys  = 512
	chunkHeads = 1024
)

// phase is how far a sending has come.
type phase int

const (
	offered    phase = iota // waits for the peer to ask
	beginning               // says what follows
	scanning                // sends all cells in order
	patching                // sends the cells that were written to since base
	concluding              // sends the heads and the end
)

// A sending is a snapshot on its way to the peer. It holds no cells but those
// of one chunk: what is written to meanwhile is sent again, until a state of the
// space has been sent whole.
type sending struct {
	space  string
	number uint64
	phase  phase
	whole  bool
	chunk  uint64
	after  string               // key up to which cells were sent
	base   *merge.VersionVector // since when cells have to be sent again
	until  *merge.VersionVector // what this round of patching covers, nil between rounds
	ahead  []merge.Dot          // of the round: from where to look on, per origin
	keys   []string             // to be sent
	named  []Touch              // to be sent under their names
	known  merge.Dots           // what may name cells, nil for nothing
	rest   []CellPart           // of a large cell
	heads  []OriginHead         // to be sent
	final  *merge.VersionVector // of the heads
	print  Fingerprint          // of the cells with those heads
}

// next returns the next frame. It returns nil while it waits for the peer.
func (s *sending) next(src Source) (Frame, error) {
	for {
		switch s.phase {
		case offered:
			return nil, nil
		case beginning:
			return s.begin(src)
		case scanning:
			if f, err := s.scan(src); f != nil || err != nil {
				return f, err
			}
			s.phase = patching
		case patching:
			if f, err := s.patch(src); f != nil || err != nil {
				return f, err
			}
		case concluding:
			return s.conclude(), nil
		}
	}
}

func (s *sending) begin(src Source) (Frame, error) {
	if s.base == nil {
		heads, _, err := src.State(s.space)
		if err != nil {
			return nil, err
		}
		s.base = vectorOf(heads)
	}
	step := SnapshotPart
	if s.phase = patching; s.whole {
		s.phase, step = scanning, SnapshotWhole
	}
	return &SnapshotBegin{s.space, s.number, step, s.base.Clone(), s.after}, nil
}

// scan sends the cells that follow.
func (s *sending) scan(src Source) (Frame, error) {
	if len(s.rest) > 0 {
		return s.large(), nil
	}
	cells, err := src.CellsAfter(s.space, s.after, chunkBytes)
	if err != nil || len(cells) == 0 {
		return nil, err
	}
	f, n := s.fill(cells)
	s.after = cells[n-1].Key
	return f, nil
}

// fill returns a chunk of as many of the cells as fit, and their number. Of a
// cell that is too large by itself it holds the first part.
func (s *sending) fill(cells []StoredCell) (f Frame, n int) {
	var parts []CellPart
	size := 0
	for _, c := range cells {
		if size += len(c.Key) + len(c.State); size > chunkBytes && n > 0 {
			break
		}
		for p := range pieces(c, chunkBytes) {
			s.rest = append(s.rest, p)
		}
		parts, s.rest = append(parts, s.rest[0]), s.rest[1:]
		n++
	}
	return s.carry(parts, nil), n
}

// large sends a further part of a large cell.
func (s *sending) large() Frame {
	p := s.rest[0]
	s.rest = s.rest[1:]
	return s.carry([]CellPart{p}, nil)
}

func (s *sending) carry(parts []CellPart, heads []OriginHead) Frame {
	s.chunk++
	return &SnapshotChunk{s.space, s.number, s.chunk - 1, parts, heads}
}

// patch sends cells that were written to since base, or finds that there are
// none: then what was sent is the state of now.
func (s *sending) patch(src Source) (Frame, error) {
	if len(s.rest) > 0 {
		return s.large(), nil
	}
	if s.until == nil {
		if done, err := s.round(src); done || err != nil {
			return nil, err
		}
	}
	if err := s.look(src); err != nil {
		return nil, err
	}
	if f, err := s.name(src); f != nil || err != nil {
		return f, err
	}
	if len(s.keys) == 0 {
		s.base, s.until = s.until, nil
		return nil, nil
	}
	cells, err := src.CellsAt(s.space, s.keys[:min(len(s.keys), chunkKeys)])
	if err != nil {
		return nil, err
	}
	f, n := s.fill(cells)
	s.keys = s.keys[n:]
	return f, nil
}

// round begins a round of patching, unless nothing has been applied since base.
func (s *sending) round(src Source) (done bool, err error) {
	heads, sum, err := src.State(s.space)
	if err != nil {
		return false, err
	}
	if sum.Unread > 0 {
		return false, ErrForgotten
	}
	now := vectorOf(heads)
	if s.base.Covers(now) {
		s.heads, s.final, s.print = sortedHeads(heads), now, sum.Cells
		s.phase = concluding
		return true, nil
	}
	s.until, s.ahead = now, nil
	for _, d := range now.Sorted() {
		if from := s.base.Get(d.Origin); from < d.Seq {
			s.ahead = append(s.ahead, merge.Dot{Origin: d.Origin, Seq: from})
		}
	}
	return false, nil
}

// look finds cells to send, if none are left.
func (s *sending) look(src Source) error {
	if len(s.keys)+len(s.named) > 0 {
		return nil
	}
	var found []Touch
	for len(s.ahead) > 0 && len(found) < chunkKeys {
		at := &s.ahead[0]
		touches, last, err := src.Touched(s.space, *at, s.until.Get(at.Origin), chunkKeys-len(found), s.known)
		if err != nil {
			return err
		}
		found = append(found, touches...)
		if at.Seq = last; last >= s.until.Get(at.Origin) {
			s.ahead = s.ahead[1:]
		}
	}
	s.keys, s.named = sortTouches(found)
	return nil
}

func (s *sending) conclude() Frame {
	if len(s.heads) == 0 {
		return &SnapshotEnd{s.space, s.number, s.chunk, s.print}
	}
	n := min(len(s.heads), chunkHeads)
	heads := s.heads[:n]
	s.heads = s.heads[n:]
	return s.carry(nil, heads)
}

func vectorOf(heads map[merge.Origin]Head) *merge.VersionVector {
	v := &merge.VersionVector{}
	v.Grow(len(heads))
	for o, h := range heads {
		v.Raise(merge.Dot{Origin: o, Seq: h.Seq})
	}
	return v
}

// stepDown is what a link does when the log no longer holds what the peer lacks:
// it sends the cells that were written to since what the peer has, or offers all
// of them.
func (l *Link) stepDown(s *linkSpace, src Source) (Frame, error) {
	s.out, s.outgoing, s.stuck = nil, nil, true
	_, sum, err := src.State(s.name)
	if err != nil || sum.Unread > 0 {
		return nil, err // its cells do not hold all that it has applied
	}
	l.sendings++
	s.sending = &sending{space: s.name, number: l.sendings}
	if s.acked.Len() > 0 && remembers(src, s.name, s.acked) {
		s.sending.phase, s.sending.base = beginning, s.acked.Clone()
		if l.Both(FeatureNames) {
			s.sending.known = nameable{s.sending.base.Clone(), s.spell}
		}
		return s.sending.next(src)
	}
	return &SnapshotBegin{s.name, l.sendings, SnapshotOffer, l.local.Vector(s.name), ""}, nil
}

// remembers reports whether the source knows what was written to since v.
func remembers(src Source, space string, v *merge.VersionVector) bool {
	for _, d := range src.Vector(space).Sorted() {
		if seq := v.Get(d.Origin); seq < d.Seq {
			if _, _, err := src.Touched(space, merge.Dot{Origin: d.Origin, Seq: seq}, d.Seq, 0, nil); err != nil {
				return false
			}
		}
	}
	return true
}

// nextOf returns the next data frame of a space.
func (l *Link) nextOf(s *linkSpace) (Frame, error) {
	if s.sending != nil && !s.probing() && l.access(s.name) != AccessNone {
		return l.nextPart(s)
	}
	if f := s.nextCompare(); f != nil {
		return f, nil
	}
	batch, err := l.take(s)
	src, ok := l.local.(Source)
	switch {
	case errors.Is(err, ErrTruncated) && ok && l.Both(FeatureSnapshot):
		return l.stepDown(s, src)
	case err != nil:
		return nil, err
	case len(batch) == 0:
		return l.single(s), nil
	}
	s.sent.add(batch)
	return &Changes{s.name, batch, l.positionAfter(s)}, nil
}

// nextPart returns the next frame of a snapshot. After its end the peer is sent
// what has been applied since.
func (l *Link) nextPart(s *linkSpace) (Frame, error) {
	src := l.local.(Source)
	f, err := s.sending.next(src)
	switch {
	case errors.Is(err, ErrForgotten): // while it was sent: a snapshot of the peer's came between, perhaps
		return l.stepDown(s, src)
	case err != nil:
		return nil, err
	}
	if _, end := f.(*SnapshotEnd); end {
		known := s.sending.final
		known.Merge(s.acked)
		s.sending, s.stuck = nil, false
		s.renew(known)
		s.out.Fill(l.local)
	}
	return f, nil
}

// withdraw forgets an offer that a peer which is level does not need, and goes on
// from there.
func (s *linkSpace) withdraw() {
	if s.stuck && (s.sending == nil || s.sending.phase == offered) {
		s.sending, s.stuck = nil, false
		s.renew(s.acked.Clone())
	}
}

// A Staged is a part of a snapshot that came from the peer.
type Staged struct {
	Space string
	// Frame is a *SnapshotBegin that offers or begins a snapshot, a
	// *SnapshotChunk, a *SnapshotNamed or a *SnapshotEnd. The driver accepts an
	// offer with [Link.Request]; it keeps the parts of one snapshot at a time of a
	// space and tells the link of those of another with [Link.Leave]. If it cannot
	// tell which cells are named it drops the snapshot and calls [Link.Spell]. At
	// the end it merges what it has kept and calls [Link.Merged].
	Frame Frame
}

// receiving is what a link knows of a snapshot that comes from the peer.
type receiving struct {
	number uint64
	part   bool
	chunk  uint64 // the next one
	moved  bool   // since the last tick
	idle   int    // ticks without a part
}

// maxIdle is how many ticks a snapshot may bring nothing before it is given up.
const maxIdle = 3

func (l *Link) stepSnapshot(f Frame, r *Ready) {
	switch f := f.(type) {
	case *SnapshotBegin:
		l.stepBegin(f, r)
	case *SnapshotChunk:
		l.stepChunk(f, r)
	case *SnapshotNamed:
		l.stepNamed(f, r)
	case *Spell:
		l.withSpace(f.Space, r, func(s *linkSpace) { s.spell = f.Vector })
	case *SnapshotEnd:
		l.stepEnd(f, r)
	}
}

func (l *Link) stepBegin(f *SnapshotBegin, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		mine := l.local.Vector(s.name)
		switch f.Step {
		case SnapshotRequest:
			l.stepRequest(s, f)
			return
		case SnapshotWhole:
		case SnapshotOffer:
			if mine.Covers(f.Vector) { // it does not know what we have
				l.ask(s, r)
				return
			}
		case SnapshotPart:
			if !mine.Covers(f.Vector) {
				l.ask(s, r)
				return
			}
		}
		if l.access(s.name) < AccessWrite {
			return
		}
		if f.Step != SnapshotOffer {
			s.receiving, s.ended = &receiving{number: f.Number, part: f.Step == SnapshotPart, moved: true}, nil
			s.brings = brings(f)
		}
		r.Staged = append(r.Staged, Staged{s.name, f})
	})
}

// stepRequest begins the snapshot that the peer asks for: where it says that it
// has come to, if what was written to since can be told.
func (l *Link) stepRequest(s *linkSpace, f *SnapshotBegin) {
	src, ok := l.local.(Source)
	if !ok || s.sending == nil || s.sending.number != f.Number {
		return
	}
	l.sendings++
	s.sending = &sending{space: s.name, number: l.sendings, phase: beginning, whole: true}
	if f.After != "" && src.Vector(s.name).Covers(f.Vector) && remembers(src, s.name, f.Vector) {
		s.sending.base, s.sending.after = f.Vector, f.After
	}
}

func (l *Link) stepChunk(f *SnapshotChunk, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		if in := s.receiving; in != nil && in.number == f.Number && in.chunk == f.Chunk {
			in.chunk++
			in.moved = true
			for _, h := range f.Heads { // which the peer has
				s.ack([]merge.Dot{{Origin: h.Origin, Seq: h.Seq}})
				l.noteHead(s, h)
			}
			r.Staged = append(r.Staged, Staged{s.name, f})
		}
	})
}

func (l *Link) stepEnd(f *SnapshotEnd, r *Ready) {
	l.withSpace(f.Space, r, func(s *linkSpace) {
		if in := s.receiving; in != nil && in.number == f.Number && in.chunk == f.Chunks {
			s.receiving, s.ended = nil, f
			if !l.doubtful(s, r) {
				r.Staged = append(r.Staged, Staged{s.name, f})
			}
		}
	})
}

// Request accepts the offer of a snapshot: base and after are what is staged of
// one already, or empty.
func (l *Link) Request(offer *SnapshotBegin, base *merge.VersionVector, after string) (r Ready) {
	l.withSpace(offer.Space, &r, func(s *linkSpace) {
		s.receiving, s.ended = &receiving{number: 0, moved: true}, nil // no sending has that number
		r.Send = append(r.Send, &SnapshotBegin{s.name, offer.Number, SnapshotRequest, base, after})
	})
	return r
}

// Leave says that the driver does not take the parts of the snapshot that comes.
func (l *Link) Leave(space string) {
	if s, ok := l.spaces[space]; ok {
		s.receiving, s.ended = nil, nil
	}
}

// Merged tells the link that a snapshot has been merged, durably, so that applied
// are heads of the space, or why not. One that is from the future stays staged,
// and its end comes again with each Tick until the clock has reached it.
func (l *Link) Merged(space string, applied []merge.Dot, err error) (r Ready) {
	l.withSpace(space, &r, func(s *linkSpace) {
		refused, forked := errors.AsType[*RefusedError](err)
		if errors.Is(err, ErrFuture) {
			return
		}
		s.ended = nil
		switch {
		case err == nil:
			r.Send = append(r.Send, acks(space, applied, l.position(s))...)
			s.settled()
			s.unusable = 0
			l.noteMerged(s)
		case forked:
			r.Send = append(r.Send, newNack(space, refused))
			if refused.Kind == ErrForked && !l.mends(space, refused.Dot.Origin) {
				l.foreignFork(s, refused, &r)
			}
		default:
			s.doubt = true // ask for everything
			if s.unusable++; s.unusable == 1 {
				l.ask(s, &r) // at once; after another one at some tick
			}
		}
	})
	return r
}

// tickSnapshot gives a snapshot up that brings nothing, and reports whether one
// is still coming.
func (l *Link) tickSnapshot(s *linkSpace, r *Ready) bool {
	if s.ended != nil {
		if !l.doubtful(s, r) {
			r.Staged = append(r.Staged, Staged{s.name, s.ended})
		}
		return true
	}
	in := s.receiving
	if in == nil {
		return false
	}
	if in.idle++; in.moved {
		in.moved, in.idle = false, 0
	}
	if in.idle < maxIdle {
		return true
	}
	s.receiving = nil
	s.settled()
	r.Abandoned = append(r.Abandoned, s.name)
	l.ask(s, r)
	return true
}
