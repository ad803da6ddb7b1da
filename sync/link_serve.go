package sync

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/sync/recon"
)

// serving is what this side answers a peer that compares: from one scan, so that
// answers fit each other, and with no other memory of what was asked.
type serving struct {
	asked   []byte // the peer's digest, and the rest of a CompareExpected
	scan    *Scan  // nil until the driver has made it
	key     recon.Key
	keyed   *recon.Keyed // nil until cells turn out to differ
	sketch  *recon.Sketch
	at, end int // symbols to send
	idle    int // ticks
}

func (v *serving) digest() Digest { return Digest(v.asked[:len(Digest{})]) }

func (l *Link) stepAudit(f *Audit, r *Ready) {
	l.withShared(f.Space, r, func(s *linkSpace) { l.audited(s, f.Digest[:], r) })
}

// audited lets the driver read the cells, unless that was done just before.
func (l *Link) audited(s *linkSpace, asked []byte, r *Ready) {
	v := s.audit.serving
	switch {
	case v == nil || v.scan != nil && !bytes.Equal(v.asked, asked):
		if s.audit.scans++; s.audit.scans > maxScans {
			return // it will be asked again
		}
		s.audit.serving, s.audit.news = &serving{asked: asked}, false
		r.Scan = append(r.Scan, s.name)
	case v.scan != nil:
		l.answerAudit(s, r)
	default:
		v.asked = asked
	}
}

func (l *Link) answerAudit(s *linkSpace, r *Ready) {
	v, mine := s.audit.serving, l.local.Summary(s.name)
	v.idle = 0
	switch {
	case v.scan.digest() == v.digest():
		r.Send = append(r.Send, &Audited{s.name, AuditEqual})
		s.audit.serving = nil
	case mine.Unread > 0:
		r.Send = append(r.Send, &Audited{s.name, AuditUnread})
	case s.peer == nil || s.peer.Applied != mine.Applied || v.scan.Summary.Applied != mine.Applied:
		r.Send = append(r.Send, &Audited{s.name, AuditMoved})
		s.audit.serving = nil
	case len(v.asked) > len(Digest{}):
		r.Send = append(r.Send, v.answerExpected(s.name))
	default:
		if v.keyed == nil {
			v.under(l.drawKey(s))
		}
		r.Send = append(r.Send, v.differ(s.name, recon.NewSearch(v.keyed).Ask()))
	}
}

// drawKey returns a key that was not used before.
func (l *Link) drawKey(s *linkSpace) recon.Key {
	s.audit.keys++
	h := sha256.Sum256(binary.BigEndian.AppendUint64(append(l.cfg.Nonce[:], s.name...), s.audit.keys))
	return recon.Key(h[:16])
}

// under prepares to answer questions under a key.
func (v *serving) under(key recon.Key) {
	v.key, v.keyed = key, v.scan.index.Under(key)
	v.sketch = recon.NewSketch(key, recon.Bits64, 0)
	v.sketch.Extend(firstSymbols, v.keyed.Items())
}

// differ returns a CompareDiffer with sums of ranges.
func (v *serving) differ(space string, ranges []byte) *Compare {
	sums, _ := recon.Answer(v.keyed, ranges) // they are our own
	body := varint.AppendBytes(varint.AppendBytes(v.key[:], ranges), sums)
	return &Compare{space, CompareDiffer, v.sketch.Append(body, 0, firstSymbols)}
}

// serve answers a question about the cells of the last audit.
func (s *linkSpace) serve(f *Compare, r *Ready) {
	v := s.audit.serving
	if v == nil || v.keyed == nil {
		return
	}
	v.idle, v.at, v.end = 0, 0, 0
	q := varint.NewReader("sync: question", f.Body)
	n := q.Uvarint()
	if f.What == CompareAskSums {
		sums, err := recon.Answer(v.keyed, q.Fixed(q.Len()))
		if q.Err() == nil && err == nil {
			r.Send = append(r.Send, &Compare{s.name, CompareSums, append(binary.AppendUvarint(nil, n), sums...)})
		}
		return
	}
	end := q.Uvarint()
	switch {
	case q.Done() != nil || n > end:
	case end > maxSymbols:
		r.Send = append(r.Send, &Compare{s.name, CompareSymbols, binary.AppendUvarint(nil, n)})
	default:
		v.at, v.end = int(n), int(end)
	}
}

func (s *linkSpace) reply(frames ...Frame) { s.audit.replies = append(s.audit.replies, frames...) }

// nextCompare returns the next frame of cells or of symbols, nil if there is none.
// Symbols come in small portions first, because each may be the last needed.
func (s *linkSpace) nextCompare() Frame {
	if replies := s.audit.replies; len(replies) > 0 {
		s.audit.replies = replies[1:]
		return replies[0]
	}
	v := s.audit.serving
	if v == nil || v.at >= v.end {
		return nil
	}
	v.sketch.Extend(v.end, v.keyed.Items())
	from, end := v.at, min(v.end, v.at+max(firstSymbols, min(64, v.at/2), v.at/32))
	v.at, v.idle = end, 0
	return &Compare{s.name, CompareSymbols, v.sketch.Append(binary.AppendUvarint(nil, uint64(from)), from, end)}
}

// stepRepair hands the peer's cells to the driver, with those of our own that it
// asks for. They are comparable only while both have applied the same changes.
func (l *Link) stepRepair(f *Repair, r *Ready) {
	l.withShared(f.Space, r, func(s *linkSpace) {
		m := Mending{Space: f.Space, Applied: f.Applied, last: true}
		c, v := s.audit.asking, s.audit.serving
		switch f.Stage {
		case RepairMore, RepairLast:
			if c == nil || c.phase != phaseCells || f.Applied != c.scan.Summary.Applied {
				return
			}
			m.role, m.last = mendTake, f.Stage == RepairLast
		case RepairTell, RepairAsk:
			if v == nil || v.keyed == nil {
				return // nothing was found to differ, or it was too long ago
			}
			m.role, m.last = mendAnswer, f.Stage == RepairAsk
		default:
			if !s.audit.news {
				return
			}
			m.role = mendNews
		}
		if !m.take(f.Cells) {
			r.end("protocol", "cells to mend that are no cells, or out of order")
			return
		}
		if l.access(s.name) < AccessWrite {
			m.withhold()
		}
		if m.role == mendAnswer {
			v.at, v.end, v.idle = 0, 0, 0
			m.want(v.keyed, f.Wanted)
		}
		if m.role == mendTake {
			c.idle, c.tries = 0, 0
			if m.last {
				c.phase = phaseMend
			}
		}
		r.Mend = append(r.Mend, m)
	})
}

// take reads the peer's cells and reports whether they are in order.
func (m *Mending) take(cells [][]byte) bool {
	for i, b := range cells {
		c, err := ParseMendCell(b)
		if err != nil || i > 0 && bytes.Compare(m.Keys[i-1], c.Key) >= 0 {
			return false
		}
		m.Theirs = append(m.Theirs, c)
		m.Keys = append(m.Keys, c.Key)
	}
	return true
}

// withhold forgets what the peer holds, who may not write.
func (m *Mending) withhold() {
	for i := range m.Theirs {
		m.Theirs[i] = MendCell{Key: m.Theirs[i].Key, Withheld: true}
	}
}

// want adds own cells that the peer wants to see.
func (m *Mending) want(set *recon.Keyed, wanted []byte) {
	for _, i := range wantedBy(set, wanted) {
		m.Keys = append(m.Keys, bytes.Clone(set.Key(i)))
	}
	slices.SortFunc(m.Keys, bytes.Compare)
	m.Keys = slices.CompactFunc(m.Keys, bytes.Equal)
}
