package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// HashOf implements crdtsync.Chainer.
func (l locals) HashOf(space string, d merge.Dot) (hash crdtsync.Hash, ok bool) {
	head := l.Last(space, d.Origin)
	if head.Seq == d.Seq {
		return head.Hash, d.Seq > 0
	}
	if head.Seq < d.Seq {
		return hash, false
	}
	err := l.node.store.View(l.node.ctx, func(r store.Reader) error {
		h, known, err := spacestore.Last(r, space, d)
		hash, ok = h.Hash, known
		return err
	})
	return hash, ok && err == nil
}

// Chains implements crdtsync.Chainer.
func (l locals) Chains(space string) (known []crdtsync.Known) {
	s := l.node.lookup(space)
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, d := range s.core.Vector().Sorted() {
		known = append(known, crdtsync.Known{Dot: d, Hash: s.core.Head(d.Origin).Hash})
	}
	return known
}

// Severed implements crdtsync.Chainer.
func (l locals) Severed(space string, o merge.Origin) uint64 {
	s := l.node.lookup(space)
	if s == nil {
		return 0
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.core.Severed(o)
}

// Splits implements crdtsync.Chainer.
func (l locals) Splits(space string) []crdtsync.Split {
	s := l.node.lookup(space)
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sortedSplits()
}

// sortedSplits returns what proves forks, ascending by dot. The caller holds s.mu.
func (s *Space) sortedSplits() []crdtsync.Split {
	return slices.SortedFunc(maps.Values(s.splits), func(a, b crdtsync.Split) int { return a.Dot.Compare(b.Dot) })
}

// foundSplit asks the committer to sever an origin that has forked.
func (n *Node) foundSplit(split crdtsync.Split) {
	f := found{Fork: crdtsync.Fork{Space: split.Space, Origin: split.Dot.Origin, Common: split.Dot.Seq - 1}, is: n.identity(), split: &split}
	select {
	case n.mends <- f:
	default: // it is found again
	}
}

// disown has everybody set the branch apart that begins with c, which this node has
// taken back: whoever sends it holds the branch.
func (n *Node) disown(s *Space, c *crdtsync.Change) {
	if split, ok := crdtsync.Disown(s.name, c); ok && s.severs(&split) {
		n.foundSplit(split)
	}
}

// splitByRefusal returns what the refusal of a change proves together with the
// change that is in the log.
func (b *batch) splitByRefusal(s *Space, c *crdtsync.Change) (split crdtsync.Split, ok bool) {
	if s.core.Severed(c.Dot.Origin) != 0 || s.core.Head(c.Dot.Origin).Seq < c.Dot.Seq {
		return split, false
	}
	own, err := spacestore.Change(b.tx, s.name, c.Dot)
	if err != nil {
		return split, false
	}
	return crdtsync.NewSplit(s.name, own, c.Bytes())
}

// severs reports whether a split is news.
func (s *Space) severs(split *crdtsync.Split) bool {
	at := s.core.Severed(split.Dot.Origin)
	return at == 0 || at > split.Dot.Seq
}

// concerns reports whether the origin that forked is or was the node's own.
func (m *mending) concerns() bool { return m.is.Has(m.fork.Origin) }

// doubts says, for the status, what could not be found out.
func (m *mending) doubts() (s string) {
	if m.Deeper > 0 {
		s = fmt.Sprintf("; of its changes %d to %d, which are no longer in its log, the peer may have others: they stay as they are", m.Deeper, m.fork.Common)
	}
	if m.fork.Unsure > m.fork.Common {
		s += fmt.Sprintf("; nobody can tell any more whether the peer has its changes %d to %d already: what they counted may count twice", m.fork.Common+1, m.fork.Unsure)
	}
	return s
}

// tooDeep reports whether a fork lies below the log of the space, and says so: the
// branch cannot be taken back.
func (s *Space) tooDeep(split *crdtsync.Split) bool {
	if s.core.Floor(split.Dot.Origin) < split.Dot.Seq {
		return false
	}
	s.noteRefused(&crdtsync.RefusedError{Dot: split.Dot, Kind: crdtsync.ErrForked, Reason: "the origin has written two different changes under this number, and they are no longer in the log here: this node keeps the branch that it has, and cannot be level with those that have set both apart"})
	return true
}

// what says what was found, and code under which name.
func (m *mending) what() string {
	if m.concerns() {
		return "this node was restored from a backup or copied"
	}
	return "an origin has written different changes under one number"
}

func (m *mending) code() string {
	if m.concerns() {
		return "new_origin"
	}
	return "origin_forked"
}

// away is what the peers are told, whose links begin anew.
func (m *mending) away() crdtsync.Goaway {
	if m.concerns() {
		return renewed
	}
	return crdtsync.Goaway{Code: "renewed", Reason: "an origin has forked, and this node has set its branches apart"}
}

// publishSplit shows what the node knows of a fork. The caller holds s.mu.
func (s *Space) publishSplit(split *crdtsync.Split, unkept []merge.Dot) {
	s.splits[split.Dot.Origin] = *split
	s.repairs = repairs{} // what differed because of it
	delete(s.refused, split.Dot.Origin)
	for _, d := range unkept {
		s.unhold(d)
	}
}

// sweep drops from quarantine what is applied under the origin of its branch.
func (b *batch) sweep(s *Space) {
	p := b.holds[s]
	if len(s.splits) == 0 || len(s.held) == 0 && p == nil {
		return
	}
	held := maps.Clone(s.held)
	if p != nil {
		maps.Copy(held, p.hold)
	}
	for d, h := range held {
		if split, ok := s.splits[d.Origin]; ok && h.Code == "forked" && b.reissued(s, &h, &split) {
			p := b.holdsOf(s)
			delete(p.hold, d)
			p.drop[d] = true
		}
	}
}

// reissued reports whether a change in quarantine is applied under the origin of
// its branch: there is one with its place, its time and its writes.
func (b *batch) reissued(s *Space, h *spacestore.Held, split *crdtsync.Split) bool {
	if h.Dot.Seq < split.Dot.Seq {
		return false
	}
	c, err := crdtsync.DecodeChange(slices.Clone(h.Raw))
	if err != nil {
		return false
	}
	firsts := []crdtsync.Hash{c.Hash()}
	if h.Dot.Seq == split.Dot.Seq && b.stageOf(s).Contains(merge.Dot{Origin: crdtsync.BranchOrigin(firsts[0]), Seq: 1}) {
		return true // the origin is named by its hash
	}
	for _, raw := range split.Changes {
		firsts = append(firsts, sha256.Sum256(raw))
	}
	for _, first := range firsts {
		raw, err := spacestore.Change(b.tx, s.name, merge.Dot{Origin: crdtsync.BranchOrigin(first), Seq: h.Dot.Seq - split.Dot.Seq + 1})
		if err != nil {
			continue
		}
		if again, err := crdtsync.DecodeChange(raw); err == nil && sameWrites(c, again) {
			return true
		}
	}
	return false
}

// sameWrites reports whether two changes have the same time and put the same into
// the same cells, but for what they count under their origins.
func sameWrites(c, again *crdtsync.Change) bool {
	puts := func(c *crdtsync.Change) map[crdtsync.CellKey]string {
		m := make(map[crdtsync.CellKey]string)
		for _, op := range c.Ops {
			if op.Put && !strings.HasSuffix(op.Cell.Element, string(c.Dot.Origin[:])) {
				m[op.Cell] = string(op.Payload)
			}
		}
		return m
	}
	return c.Time == again.Time && maps.Equal(puts(c), puts(again))
}

// addForks says which origins have forked, and what became of it. The caller
// holds s.mu.
func (s *Space) addForks(st *Status, signed *signedStatus) {
	for _, split := range s.sortedSplits() {
		var names [2]string
		branches := signed.branches[split.Dot.Origin]
		for i, raw := range split.Changes {
			c, err := crdtsync.DecodeChange(slices.Clone(raw))
			if err != nil {
				continue
			}
			h, by := c.Hash(), ""
			if branches[i] {
				by = ", signed by the device"
			}
			names[i] = fmt.Sprintf("%s (hash %s%s)", crdtsync.BranchOrigin(h), hex.EncodeToString(h[:6]), by)
		}
		action := "find the device with that origin: if it was restored or copied, connect it, and it goes on under a new origin by itself; if nobody knows it, take its access away: it tells different peers different things"
		if branches[0] != branches[1] {
			action = "find the device with that origin: if it was restored or copied, connect it, and it goes on under a new origin by itself; if it was not, the branch that it has not signed is forged: look who may write the space"
		}
		if split.Disowned() {
			action = "nothing, if the device with that origin was restored or copied: it says so itself, and goes on under a new origin; if it was not, somebody forges its changes: look who may write the space"
		}
		st.Problems = append(st.Problems, Problem{
			Code: "origin_forked", Space: s.name,
			Cause: fmt.Sprintf("%s names two different changes: all that was taken of the two branches from there on is kept under the origins %s and %s, and nothing more is taken of %s",
				split.Dot, names[0], names[1], split.Dot.Origin),
			Action: action,
		})
	}
}
