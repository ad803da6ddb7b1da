package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Bounds of the quarantine of a space. What comes beyond them is refused and not
// kept: it is offered again.
const (
	maxHeld      = 256
	maxHeldBytes = 4 << 20
)

// ErrNotQuarantined: no such change is in quarantine.
var ErrNotQuarantined = errors.New("node: no such change in quarantine")

// A Quarantined is a change that was refused. It stays, over restarts, until it
// is applied or dropped; what depends on it waits, all else flows.
type Quarantined struct {
	Space  string    `json:"space"`
	Dot    string    `json:"change"`
	Code   string    `json:"code"`  // of the protocol's list of refusals, or unrepeatable
	Class  string    `json:"class"` // retriable, needs-auth, needs-upgrade, fatal
	Reason string    `json:"reason"`
	Action string    `json:"action"`
	From   string    `json:"from"` // who brought it
	At     time.Time `json:"at"`   // when it came first
	Bytes  int       `json:"bytes"`
	Behind int       `json:"behind"` // changes that came and wait for it
}

// Quarantine returns what is in quarantine, by space and dot.
func (n *Node) Quarantine() []Quarantined {
	list := []Quarantined{}
	for _, s := range n.allSpaces() {
		s.mu.RLock()
		for _, h := range s.held {
			list = append(list, Quarantined{
				Space: s.name, Dot: h.Dot.String(), Code: h.Code, Class: crdtsync.ClassOf(h.Code), Reason: h.Reason,
				Action: crdtsync.HintOf(h.Code), From: h.From, At: h.At, Bytes: len(h.Raw), Behind: s.core.Behind(h.Dot),
			})
		}
		s.mu.RUnlock()
	}
	slices.SortFunc(list, func(a, b Quarantined) int { return cmp.Or(cmp.Compare(a.Space, b.Space), cmp.Compare(a.Dot, b.Dot)) })
	return list
}

// RetryQuarantined offers a refused change again and returns why it is refused
// again, nil if it is applied now.
func (n *Node) RetryQuarantined(ctx context.Context, space string, d merge.Dot) error {
	h, err := n.heldChange(space, d)
	if err != nil {
		return err
	}
	c, err := crdtsync.DecodeChange(slices.Clone(h.Raw))
	if err != nil {
		return err
	}
	results, err := n.offer(ctx, []crdtsync.Offered{{Space: space, Change: c}}, &source{name: h.From})
	if err != nil {
		return err
	}
	for _, r := range results {
		if len(r.refused) > 0 {
			return r.refused[0]
		}
		if r.early.Contains(d) {
			return &crdtsync.EarlyError{Dot: d, Missing: n.lookup(space).waitsFor(c), Kept: true}
		}
	}
	return nil
}

// DropQuarantined forgets a refused change. If it is offered again and refused
// again, it comes back.
func (n *Node) DropQuarantined(ctx context.Context, space string, d merge.Dot) error {
	if _, err := n.heldChange(space, d); err != nil {
		return err
	}
	j := &dropJob{space: n.lookup(space), dot: d, done: make(chan error, 1)}
	if err := n.submit(ctx, j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.stopped:
		return ErrClosed
	}
}

func (n *Node) heldChange(space string, d merge.Dot) (h spacestore.Held, err error) {
	if s := n.lookup(space); s != nil {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if h, ok := s.held[d]; ok {
			return h, nil
		}
	}
	return h, fmt.Errorf("%w: %s of space %q", ErrNotQuarantined, d, space)
}

// waitsFor returns a change that must be applied before c.
func (s *Space) waitsFor(c *crdtsync.Change) merge.Dot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.core.FirstMissing(c)
}

// loadHeld reads the quarantine and what is kept of origins that were given up.
func (s *Space) loadHeld(r store.Reader) error {
	list, err := spacestore.AllHeld(r, s.name)
	for _, h := range list {
		s.hold(h)
	}
	if err == nil {
		s.given, err = spacestore.AllGiven(r, s.name)
	}
	splits, errSplits := spacestore.Splits(r, s.name)
	for _, split := range splits {
		s.splits[split.Dot.Origin] = split
	}
	return cmp.Or(err, errSplits)
}

// hold keeps a refused change in memory. The caller holds s.mu or is the only
// one to know s.
func (s *Space) hold(h spacestore.Held) {
	s.unhold(h.Dot)
	s.held[h.Dot] = h
	s.heldSize += len(h.Raw)
}

func (s *Space) unhold(d merge.Dot) {
	s.heldSize -= len(s.held[d].Raw)
	delete(s.held, d)
}

// quarantine keeps a refused change if there is room and it is not kept already.
// Only the committer calls it, and it alone changes what is held.
func (b *batch) quarantine(s *Space, raw []byte, from string, e *crdtsync.RefusedError) {
	code := crdtsync.CodeOf(e)
	if old, ok := s.held[e.Dot]; ok && old.Code == code {
		return
	}
	p := b.holdsOf(s)
	if len(s.held)+len(p.hold) >= maxHeld || s.heldSize+p.size+len(raw) > maxHeldBytes {
		return
	}
	if _, ok := p.hold[e.Dot]; ok {
		return
	}
	p.hold[e.Dot] = spacestore.Held{Dot: e.Dot, Code: code, Reason: e.Reason, From: from, At: b.node.cfg.Now(), Raw: raw}
	p.size += len(raw)
}

// holds is what a batch does to the quarantine of a space.
type holds struct {
	hold map[merge.Dot]spacestore.Held
	drop map[merge.Dot]bool
	size int // bytes of hold
}

func (b *batch) holdsOf(s *Space) *holds {
	p, ok := b.holds[s]
	if !ok {
		p = &holds{hold: make(map[merge.Dot]spacestore.Held), drop: make(map[merge.Dot]bool)}
		b.holds[s] = p
	}
	return p
}

// saveHolds writes what the batch does to the quarantine: what it applies leaves
// it.
func (b *batch) saveHolds() (err error) {
	any := false
	for s, p := range b.persists {
		for _, c := range p.Log {
			if _, ok := s.held[c.Dot]; ok {
				b.holdsOf(s).drop[c.Dot] = true
			}
		}
	}
	for _, s := range b.order {
		b.sweep(s)
	}
	for s, p := range b.holds {
		for _, h := range p.hold {
			err = cmp.Or(err, spacestore.Hold(b.tx, s.name, h))
		}
		for d := range p.drop {
			err = cmp.Or(err, spacestore.Unhold(b.tx, s.name, d))
		}
		any = any || len(p.hold)+len(p.drop) > 0
	}
	b.wrote = b.wrote || any
	return err
}

// publishHolds shows what saveHolds has written.
func (b *batch) publishHolds() {
	for s, p := range b.holds {
		s.mu.Lock()
		for _, h := range p.hold {
			s.hold(h)
		}
		for d := range p.drop {
			s.unhold(d)
		}
		s.mu.Unlock()
		for d, h := range p.hold {
			b.node.log.Warn("change quarantined", "code", "quarantined", "space", s.name, "change", d, "from", h.From, "reason", h.Reason)
		}
	}
}

// dropJob takes a change out of quarantine.
type dropJob struct {
	space *Space
	dot   merge.Dot
	done  chan error
}

func (j *dropJob) weight() int { return 1 }

func (j *dropJob) stage(b *batch) error {
	b.holdsOf(j.space).drop[j.dot] = true
	return nil
}

func (j *dropJob) finish(err error) { j.done <- err }
