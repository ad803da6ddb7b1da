package sync

// Rungs counts what came over links, by the rung of the anti-entropy ladder over
// which it came. It says how a node got what it has: a device that returns
// should take the cursor, and one that takes snapshots was away for longer than
// its peers keep their logs.
type Rungs struct {
	Push     uint64 // rung 0: changes that came as they were made
	Cursor   uint64 // rung 1a: changes that came in answer to a Resume
	Vector   uint64 // rung 1b: changes that came in answer to a Subscribe
	Part     uint64 // rung 2: snapshots of the cells written to since, merged
	Audit    uint64 // rung 3: cells that a comparison repaired here
	Snapshot uint64 // rung 4: snapshots of all cells, merged
	Resumed  uint64 // of those, the ones that went on where one had broken off
}

// Add adds what more counts.
func (g *Rungs) Add(more Rungs) {
	g.Push += more.Push
	g.Cursor += more.Cursor
	g.Vector += more.Vector
	g.Part += more.Part
	g.Audit += more.Audit
	g.Snapshot += more.Snapshot
	g.Resumed += more.Resumed
}

// Rungs returns what has come over this link. Changes count when they are new
// here, whatever becomes of them.
func (l *Link) Rungs() Rungs { return l.rungs }

// arrears is what the peer still owes on a request for what is missing.
type arrears struct {
	resumed bool   // the request was a Resume
	open    bool   // it has not been answered
	early   uint64 // changes that have overtaken the answer
	changes uint64 // still to come
}

// ask notes a request.
func (a *arrears) ask(resumed bool) { *a = arrears{resumed: resumed, open: true} }

// answered notes how many changes the peer sends in answer.
func (a *arrears) answered(changes uint64) {
	a.changes = changes - min(changes, a.early)
	a.open, a.early = false, 0
}

// noteFresh counts a change that is new here.
func (l *Link) noteFresh(s *linkSpace) {
	switch {
	case s.owed.open:
		s.owed.early++
	case s.owed.changes == 0:
		l.rungs.Push++
		return
	default:
		s.owed.changes--
	}
	if s.owed.resumed {
		l.rungs.Cursor++
	} else {
		l.rungs.Vector++
	}
}

// hears notes where the peer is. Who says so has no more to send of what it
// announced: others may have brought the rest.
func (s *linkSpace) hears(position uint64) {
	if position != 0 {
		s.owed.changes = 0
	}
}

// noteMerged counts the snapshot that has been merged.
func (l *Link) noteMerged(s *linkSpace) {
	l.rungs.Add(s.brings)
	s.owed, s.brings = arrears{}, Rungs{}
}

// brings returns what a snapshot counts as that begins with f.
func brings(f *SnapshotBegin) Rungs {
	switch {
	case f.Step == SnapshotPart:
		return Rungs{Part: 1}
	case f.After != "":
		return Rungs{Snapshot: 1, Resumed: 1}
	}
	return Rungs{Snapshot: 1}
}
