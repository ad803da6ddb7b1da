package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// maxComparing is how many steps may wait whose cells are not compared yet,
// before the node reads no more of the peer.
const maxComparing = 64

// An AuditReport is what a comparison with a peer found.
type AuditReport struct {
	Equal    bool // both hold the same cells
	Compared int  // cells that differed, or that could not be ruled out, and are repaired now
	Control  int  // bytes of questions and answers, cells apart
}

// Audit compares what the store really holds of the space with what a peer's
// store holds, and repairs both where they differ. The fingerprints that links compare all the
// time are kept beside the cells: an audit also finds cells that have changed
// behind the node's back. It reads all cells, on both sides.
//
// peer is the name, the origin or the address of a connected peer, empty for any.
// Audit waits until both have applied the same changes. The error is
// [crdtsync.ErrNoAnswer] when the peer is not connected or does not answer,
// [crdtsync.ErrUnread] when one of the two does not know all types, or of ctx.
func (s *Space) Audit(ctx context.Context, peer string) (AuditReport, error) {
	for {
		res, err := s.auditOnce(ctx, peer)
		if err == nil {
			err = res.Err
		}
		if !errors.Is(err, crdtsync.ErrMoved) {
			return AuditReport{res.Equal, res.Compared, res.Control}, err
		}
		t := time.NewTimer(s.node.cfg.Heartbeat)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return AuditReport{}, ctx.Err()
		}
	}
}

func (s *Space) auditOnce(ctx context.Context, peer string) (res crdtsync.AuditResult, err error) {
	l := s.node.linkTo(peer)
	if s.bad != nil || l == nil {
		return res, errors.Join(s.bad, crdtsync.ErrNoAnswer)
	}
	got := make(chan crdtsync.AuditResult, 1)
	l.mu.Lock()
	if l.audits == nil {
		l.audits = make(map[string][]chan crdtsync.AuditResult)
	}
	l.audits[s.name] = append(l.audits[s.name], got)
	r := l.core.Audit(s.name)
	l.mu.Unlock()
	if err := l.queue(r); err != nil {
		return res, err
	}
	select {
	case res = <-got:
		return res, nil
	case <-l.ended:
		return res, crdtsync.ErrNoAnswer
	case <-ctx.Done():
		return res, ctx.Err()
	}
}

// linkTo returns the link to a peer, nil if it is not connected.
func (n *Node) linkTo(peer string) *peerLink {
	for _, l := range n.allLinks() {
		hello := l.hello()
		if hello != nil && (peer == "" || peer == hello.Name || peer == hello.Origin.String() || peer == l.peer.address) {
			return l
		}
	}
	return nil
}

// auditLoop compares every space with some peer now and then.
func (n *Node) auditLoop() {
	t := time.NewTicker(n.cfg.AuditInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-n.ctx.Done():
			return
		}
		for _, name := range n.Spaces() {
			if l := n.linkTo(""); l != nil {
				l.mu.Lock()
				r := l.core.Audit(name)
				l.mu.Unlock()
				_ = l.queue(r) // an audit ends no link
			}
		}
	}
}

// awaitWork puts what a step asks for in line, and sees to it that somebody does
// it. The caller holds l.mu.
func (l *peerLink) awaitWork(c crdtsync.Comparing) {
	if len(c.Scan)+len(c.Mend)+len(c.Audited) == 0 {
		return
	}
	l.comparing = append(l.comparing, c)
	if !l.atWork && !l.over {
		l.atWork = true
		l.tasks.Go(l.compareAll)
	}
}

// compareAll does what is in line.
func (l *peerLink) compareAll() {
	for todo := l.takeComparing(); len(todo) > 0; todo = l.takeComparing() {
		for _, c := range todo {
			if err := l.compare(l.ctx, c); err != nil {
				l.finish(err)
				return
			}
		}
	}
}

func (l *peerLink) takeComparing() []crdtsync.Comparing {
	l.mu.Lock()
	defer l.mu.Unlock()
	todo := l.comparing
	l.comparing, l.atWork = nil, len(todo) > 0
	poke(l.took)
	return todo
}

func (l *peerLink) compare(ctx context.Context, c crdtsync.Comparing) error {
	for _, space := range c.Scan {
		scan, err := l.node.scan(ctx, space)
		l.mu.Lock()
		r := l.core.Scanned(space, scan, err)
		l.mu.Unlock()
		if err := l.queue(r); err != nil {
			return err
		}
	}
	for i := range c.Mend {
		m := &c.Mend[i]
		done, err := l.node.mend(ctx, m, l.peer)
		l.mu.Lock()
		r := l.core.Mended(m, done, err)
		l.mu.Unlock()
		if err := l.queue(r); err != nil {
			return err
		}
	}
	for _, res := range c.Audited {
		l.audited(res)
	}
	return nil
}

// audited tells those who wait how a comparison ended.
func (l *peerLink) audited(res crdtsync.AuditResult) {
	l.mu.Lock()
	waiting := l.audits[res.Space]
	delete(l.audits, res.Space)
	l.mu.Unlock()
	for _, w := range waiting {
		w <- res
	}
	l.node.log.Info("compared cells", "code", "audited", "space", res.Space, "peer", l.peer.address,
		"equal", res.Equal, "compared", res.Compared, "control_bytes", res.Control, "err", res.Err)
}

// scan reads the cells of a space. If the fingerprint beside them is not theirs,
// it is put right first.
func (n *Node) scan(ctx context.Context, space string) (scan *crdtsync.Scan, err error) {
	s := n.Space(space)
	s.mu.RLock()
	corrections := s.corrections
	s.mu.RUnlock()
	err = n.store.View(ctx, func(r store.Reader) (err error) {
		scan, err = spacestore.Scan(r, space)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("node: the cells of %q cannot be read for an audit: %w", space, err)
	}
	if off := scan.Damage(); off != (crdtsync.Fingerprint{}) {
		err = n.chore(ctx, func(b *batch) error { return s.correct(b, off, corrections) })
	}
	return scan, err
}

// correct puts the fingerprint of the cells right, unless that was done since.
func (s *Space) correct(b *batch, off crdtsync.Fingerprint, corrections int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.corrections != corrections {
		return nil
	}
	s.corrections++
	b.stageOf(s).Correct(off)
	s.node.log.Error("stored cells are not what this node wrote", "code", "damaged", "space", s.name)
	return nil
}

// mend lets the log, and the peer, decide about cells, and stores the outcome.
func (n *Node) mend(ctx context.Context, m *crdtsync.Mending, p *peer) (done *crdtsync.Mended, err error) {
	s := n.Space(m.Space)
	var proof *crdtsync.Proof
	err = n.store.View(ctx, func(r store.Reader) error {
		core, err := spacestore.Load(r, m.Space, n.Origin(), n.cfg.Kinds)
		if err == nil {
			proof = crdtsync.Prove(snapshotLog{locals{n}, r, core}, core, m.Keys)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var refused error
	err = n.chore(ctx, func(b *batch) error {
		done, refused = b.stageOf(s).Mend(m, proof)
		return nil
	})
	if err == nil && refused == nil {
		s.noteRepaired(m, done, p)
	}
	return done, errors.Join(err, refused)
}

// snapshotLog reads the log as of one snapshot.
type snapshotLog struct {
	locals
	r    store.Reader
	core *crdtsync.Space
}

func (l snapshotLog) Vector(string) *merge.VersionVector   { return l.core.Vector() }
func (l snapshotLog) Head(_ string, o merge.Origin) uint64 { return l.core.Head(o).Seq }
func (l snapshotLog) Change(s string, d merge.Dot) ([]byte, error) {
	return spacestore.Change(l.r, s, d)
}

// repairs is what was repaired of a space since the node was opened.
type repairs struct {
	cells    int
	disputed map[string]struct{} // stored keys, at most maxDisputed
	last     crdtsync.CellKey
	peer     string
}

// maxDisputed bounds how many disputed cells are told apart.
const maxDisputed = 1000

// noteRepaired remembers the outcome of a mending for the status. What was disputed
// is forgotten when a fork is mended; so it does not count if that has happened since.
func (s *Space) noteRepaired(m *crdtsync.Mending, done *crdtsync.Mended, p *peer) {
	if len(done.Repaired)+len(done.Disputed) == 0 {
		return
	}
	s.mu.Lock()
	s.repairs.cells += len(done.Repaired)
	for _, key := range done.Disputed {
		if s.core.Summary().Applied != m.Applied {
			break
		}
		if s.repairs.disputed == nil {
			s.repairs.disputed = make(map[string]struct{})
		}
		if len(s.repairs.disputed) < maxDisputed {
			s.repairs.disputed[string(key)] = struct{}{}
		}
	}
	s.repairs.peer = p.address
	for _, key := range done.Repaired {
		s.repairs.last, _ = crdtsync.ParseCellKey(key)
	}
	last := s.repairs.last
	s.mu.Unlock()
	s.node.log.Error("cells repaired", "code", "repaired", "space", s.name, "peer", p.address,
		"cells", len(done.Repaired), "disputed", len(done.Disputed), "last", last.Object, "kind", last.Kind)
}

// noteAgreed takes back what noteDiverged said of spaces in which the peer holds the
// same by now. The caller holds l.mu.
func (l *peerLink) noteAgreed() {
	if !l.differs.Swap(false) {
		return
	}
	for _, p := range l.core.Report() {
		s := l.node.lookup(p.Name)
		switch {
		case s == nil || p.Peer == nil:
		case s.levelWith(p.Peer):
			s.mu.Lock()
			s.diverged = false
			s.mu.Unlock()
		default:
			l.differs.Store(true)
		}
	}
}

// addRepairs says what was repaired. The caller holds s.mu.
func (s *Space) addRepairs(st *Status) {
	r := s.repairs
	if r.cells > 0 {
		st.Problems = append(st.Problems, Problem{
			Code: "repaired", Space: s.name, Peer: r.peer,
			Cause:  fmt.Sprintf("%d stored cells were not what the changes make of them, the last of %s %q; they were repaired", r.cells, r.last.Kind, r.last.Object),
			Action: "check the disk and the memory of this device: nothing is lost, but what damaged them may do it again",
		})
	}
	if len(r.disputed) > 0 {
		st.Problems = append(st.Problems, Problem{
			Code: "disputed", Space: s.name, Peer: r.peer,
			Cause:  fmt.Sprintf("%d cells differ from a peer's though both follow from whole logs", len(r.disputed)),
			Action: "look for a device that was copied or restored (origin_forked), and for an older version of this program",
		})
	}
}
