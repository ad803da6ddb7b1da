package sync

import (
	"bytes"
	"errors"
	"slices"

	"github.com/joinery-crdt/joinery/sync/recon"
)

// Bounds of comparing cells.
const (
	maxMend        = 1 << 14  // cells of one comparison; another one finds the rest
	maxRepair      = 64 << 10 // bytes of cells in a frame, or one cell
	maxRepairCells = 1024
	firstSymbols   = 16   // that answer an Audit
	askSymbols     = 2048 // first asked for
	maxSymbols     = 1 << 16
	maxSums        = 64 << 10 // bytes of a search, then what it has not ruled out is exchanged
	auditPatience  = 3        // ticks without an answer before a question is repeated
	auditTries     = 5        // repetitions
	keepScan       = 16       // ticks
	maxScans       = 4        // for a peer, in a tick
)

// Why an audit ended without an outcome.
var (
	// ErrUnread: one side has ops of kinds it does not know, and so other cells.
	ErrUnread = errors.New("sync: the cells cannot be compared while one side has operations of unknown types; upgrade it")
	// ErrNoAnswer: the peer did not answer, or is not connected any more.
	ErrNoAnswer = errors.New("sync: the peer does not answer the audit; try again later")
)

// Comparing is what a step asks of the driver for the sake of comparing cells.
type Comparing struct {
	// Scan is spaces whose cells to read, for Scanned. The driver makes durable
	// what [Scan.Damage] says first.
	Scan []string
	// Mend is cells to look at, for Mended.
	Mend []Mending
	// Audited is how comparisons of cells ended that this side began.
	Audited []AuditResult
}

// stepComparing takes a frame about the cells of a space that the peer may have.
func (l *Link) stepComparing(f Frame, r *Ready) {
	switch f := f.(type) {
	case *Audit:
		l.stepAudit(f, r)
	case *Audited:
		l.stepAudited(f, r)
	case *Compare:
		l.stepCompare(f, r)
	case *Repair:
		l.stepRepair(f, r)
	}
}

// withShared calls fn with the link's state of a space, if the peer may have it.
func (l *Link) withShared(name string, r *Ready, fn func(*linkSpace)) {
	if l.access(name) != AccessNone {
		l.withSpace(name, r, fn)
	}
}

// An AuditResult is the end of a comparison that this side began.
type AuditResult struct {
	Space    string
	Asked    bool // with Link.Audit; otherwise the link began because the cells differed
	Equal    bool // from the start
	Compared int  // cells that were looked at because they differed, or could have
	Control  int  // bytes of questions and answers, cells and frames apart
	Err      error
}

type auditPhase uint8

const (
	phaseScan    auditPhase = iota // the driver reads our cells
	phaseRoot                      // the peer compares roots
	phaseSymbols                   // a sketch is being decoded
	phaseSums                      // ranges are being compared
	phaseMend                      // the driver mends
	phaseCells                     // the peer mends
)

// comparison is what this side asks of the peer.
type comparison struct {
	phase  auditPhase
	asked  bool
	due    bool // to scan, once both are level
	wait   int  // ticks before that
	delays int  // scans that came too late
	scan   *Scan
	key    recon.Key
	keyed  *recon.Keyed
	sketch *recon.Sketch
	dec    *recon.Decoder
	search *recon.Search
	round  uint64 // of sums
	end    int    // of symbols asked for
	last   Frame  // of cells
	wanted []byte
	result AuditResult
	idle   int
	tries  int
}

// auditState is a link's state of comparing the cells of one space.
type auditState struct {
	asking  *comparison
	serving *serving
	replies []Frame // cells for the peer, after what is in line
	pause   int     // ticks before the next comparison
	backoff int
	scans   int    // for the peer since the last tick
	keys    uint64 // drawn
	news    bool   // may come of the peer
}

// Audit begins a comparison of the cells of a space with the peer's, whether or
// not their fingerprints agree: it reads what is really there. The outcome comes
// as a [Ready.Audited], after a wait until both are level.
func (l *Link) Audit(space string) (r Ready) {
	if l.peer == nil {
		r.Audited = append(r.Audited, AuditResult{Space: space, Asked: true, Err: ErrNoAnswer})
		return r
	}
	l.withSpace(space, &r, func(s *linkSpace) {
		if s.audit.asking != nil {
			s.audit.asking.asked = true
			return
		}
		s.audit.asking = &comparison{asked: true, due: true}
		l.scanWhenLevel(s, l.local.Summary(s.name), &r)
	})
	return r
}

// scanWhenLevel begins with a comparison when both sides have applied the same.
func (l *Link) scanWhenLevel(s *linkSpace, mine Summary, r *Ready) {
	c := s.audit.asking
	if c.wait > 0 {
		c.wait--
		return
	}
	if s.peer != nil && s.peer.Applied == mine.Applied {
		c.due = false
		r.Scan = append(r.Scan, s.name)
	}
}

// endAudit ends the comparison of this side.
func (s *linkSpace) endAudit(r *Ready, res AuditResult) {
	c := s.audit.asking
	s.audit.asking = nil
	res.Space, res.Asked = s.name, c.asked
	res.Compared, res.Control = c.result.Compared, c.result.Control
	r.Audited = append(r.Audited, res)
}

// differs reports whether both sides have applied the same changes and hold
// different cells.
func (s *linkSpace) differs(mine Summary) bool {
	f := s.peer
	return f != nil && f.Applied == mine.Applied && mine.Unread == 0 && f.Unread == 0 && f.Cells != mine.Cells
}

// tickAudit begins a comparison if there is something to repair and it is this
// side's turn, repeats questions, and gives up.
func (l *Link) tickAudit(s *linkSpace, mine Summary, r *Ready) {
	a := &s.audit
	a.scans = 0
	if a.serving != nil {
		if a.serving.idle++; a.serving.idle > keepScan {
			a.serving = nil
		}
	}
	switch {
	case a.asking != nil:
		l.tickAsking(s, mine, r)
	case !s.differs(mine):
		a.pause, a.backoff = 0, 0
	case a.pause > 0:
		a.pause--
	case bytes.Compare(l.cfg.Origin[:], l.peer.Origin[:]) < 0:
		a.pause, a.backoff = a.backoff, min(2*a.backoff+1, maxBackoff)
		a.asking = &comparison{due: true}
		l.scanWhenLevel(s, mine, r)
	}
}

func (l *Link) tickAsking(s *linkSpace, mine Summary, r *Ready) {
	c := s.audit.asking
	if c.due {
		l.scanWhenLevel(s, mine, r)
		return
	}
	if c.phase == phaseScan || c.phase == phaseMend {
		return
	}
	if c.idle++; c.idle < auditPatience {
		return
	}
	c.idle = 0
	if c.tries++; c.tries > auditTries {
		s.endAudit(r, AuditResult{Err: ErrNoAnswer})
		return
	}
	if f := s.question(); f != nil {
		r.Send = append(r.Send, f)
	}
}

// question returns what this side waits for the answer to.
func (s *linkSpace) question() Frame {
	c := s.audit.asking
	switch c.phase {
	case phaseRoot:
		return &Audit{s.name, c.scan.digest()}
	case phaseSymbols:
		return c.askSymbols(s.name)
	case phaseSums:
		return c.askSums(s.name)
	case phaseCells:
		return c.last
	}
	return nil
}

func (s *linkSpace) ask(r *Ready) {
	f := s.question()
	if q, ok := f.(*Compare); ok {
		s.audit.asking.result.Control += len(q.Body)
	}
	r.Send = append(r.Send, f)
}

// Scanned takes the scan that [Ready.Scan] asked for, or the error that the
// driver met. It keeps the scan.
func (l *Link) Scanned(space string, scan *Scan, err error) (r Ready) {
	if l.peer == nil {
		return r
	}
	l.withSpace(space, &r, func(s *linkSpace) {
		if c := s.audit.asking; c != nil && c.phase == phaseScan {
			switch {
			case err != nil:
				s.endAudit(&r, AuditResult{Err: err})
			case scan.Summary.Unread > 0:
				s.endAudit(&r, AuditResult{Err: ErrUnread})
			default:
				c.phase, c.scan = phaseRoot, scan
				s.ask(&r)
			}
		}
		if v := s.audit.serving; v != nil && v.scan == nil && err == nil {
			v.scan = scan
			l.answerAudit(s, &r)
		}
	})
	return r
}

func (l *Link) stepAudited(f *Audited, r *Ready) {
	l.withShared(f.Space, r, func(s *linkSpace) {
		c := s.audit.asking
		switch {
		case c == nil || c.phase != phaseRoot && c.phase != phaseCells:
		case c.phase == phaseCells:
			s.endAudit(r, AuditResult{Err: ErrMoved})
		case f.Code == AuditEqual:
			s.endAudit(r, AuditResult{Equal: true})
		case f.Code == AuditUnread:
			s.endAudit(r, AuditResult{Err: ErrUnread})
		default: // not level, which a link that brings everything mends
			c.delay()
		}
	})
}

// delay lets the comparison begin again later.
func (c *comparison) delay() {
	c.delays++
	*c = comparison{asked: c.asked, due: true, delays: c.delays, wait: min(1<<c.delays-1, maxBackoff)}
}

// stepCompare takes a question or an answer. What does not fit is ignored: it is
// late, or will be repeated.
func (l *Link) stepCompare(f *Compare, r *Ready) {
	l.withShared(f.Space, r, func(s *linkSpace) {
		if f.What == CompareAskSymbols || f.What == CompareAskSums {
			s.serve(f, r)
			return
		}
		c := s.audit.asking
		if c == nil {
			return
		}
		before := c.progress()
		switch {
		case f.What == CompareDiffer && c.phase == phaseRoot:
			c.begin(f.Body)
		case f.What == CompareSymbols && c.phase == phaseSymbols:
			c.takeSymbols(f.Body)
		case f.What == CompareSums && c.phase == phaseSums:
			c.takeSums(f.Body)
		default:
			return
		}
		if now := c.progress(); now != before {
			c.idle, c.tries = 0, 0
			c.result.Control += len(f.Body)
			s.compareOn(before, r)
		}
	})
}

// compareOn asks the next question, or goes on to the cells that were found.
func (s *linkSpace) compareOn(before progress, r *Ready) {
	c := s.audit.asking
	if before.phase == phaseSymbols && c.phase == phaseMend {
		r.Send = append(r.Send, &Compare{s.name, CompareAskSymbols, appendUvarints(nil, 0, 0)}) // that was enough
	}
	if c.phase == phaseMend {
		keys := c.keys()
		c.result.Compared = len(keys)
		r.Mend = append(r.Mend, Mending{Space: s.name, Applied: c.scan.Summary.Applied, Keys: keys, role: mendFirst, last: true})
		return
	}
	if c.phase == phaseSums || c.phase != before.phase || c.end != before.end {
		s.ask(r)
	}
}

// Mended takes the outcome of a [Mending], or its error.
func (l *Link) Mended(m *Mending, done *Mended, err error) (r Ready) {
	l.withSpace(m.Space, &r, func(s *linkSpace) {
		if err == nil {
			l.rungs.Audit += uint64(len(done.Repaired))
		}
		switch {
		case m.role == mendAnswer && err != nil:
			r.Send = append(r.Send, &Audited{s.name, AuditMoved})
		case m.role == mendAnswer:
			last := uint64(RepairMore)
			if m.last {
				last = RepairLast
			}
			if news := changed(m, done); m.last || len(news) > 0 {
				s.reply(repairs(m, news, RepairMore, last)...)
			}
			if m.last {
				s.audit.serving, s.audit.news = nil, true
			}
		case m.role == mendTake && err == nil:
			if news := changed(m, done); len(news) > 0 {
				s.reply(repairs(m, news, RepairNews, RepairNews)...)
			}
		}
		if c := s.audit.asking; c != nil && c.phase == phaseMend && m.last {
			s.mendOn(m, done, err, &r)
		}
	})
	return r
}

// mendOn goes on with the comparison of this side once its cells are mended.
func (s *linkSpace) mendOn(m *Mending, done *Mended, err error, r *Ready) {
	c := s.audit.asking
	if err != nil || m.role == mendTake {
		s.endAudit(r, AuditResult{Err: err})
		return
	}
	frames := repairs(m, done.Cells, RepairTell, RepairAsk)
	c.last = frames[len(frames)-1]
	c.last.(*Repair).Wanted = c.wanted
	s.reply(frames...)
	c.phase, c.idle, c.tries = phaseCells, 0, 0
	c.result.Control += len(c.wanted)
}

// changed returns the cells that are not as the peer has them.
func changed(m *Mending, done *Mended) (news []MendCell) {
	for _, c := range done.Cells {
		at, told := slices.BinarySearchFunc(m.Theirs, c, func(a, b MendCell) int { return bytes.Compare(a.Key, b.Key) })
		if !told || !same(m.Theirs[at].State, c.State) {
			news = append(news, c)
		}
	}
	return news
}

// repairs puts cells into frames, at least one.
func repairs(m *Mending, cells []MendCell, stage, last uint64) (frames []Frame) {
	f := &Repair{Space: m.Space, Applied: m.Applied, Stage: stage}
	size := 0
	for i := range cells {
		b, _ := cells[i].AppendBinary(nil) // never fails
		if size += len(b); len(f.Cells) > 0 && (size > maxRepair || len(f.Cells) == maxRepairCells) {
			frames = append(frames, f)
			f, size = &Repair{Space: m.Space, Applied: m.Applied, Stage: stage}, len(b)
		}
		f.Cells = append(f.Cells, b)
	}
	f.Stage = last
	return append(frames, f)
}
