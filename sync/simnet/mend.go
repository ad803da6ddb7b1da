package simnet

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A found is a fork and who the node was when it was found.
type found struct {
	crdtsync.Fork
	is    *spacestore.Identity
	split *crdtsync.Split // nil if only this node is concerned
}

// foundForks notes forks of the node's own origins.
func (n *node) foundForks(forks ...crdtsync.Fork) {
	for _, f := range forks {
		if f.Origin == n.origin && !n.rolledBack {
			n.world.violate(Identity, "%s is told that its changes after %d are not its own, and was never rolled back", n.name(), f.Common)
		}
		n.mends = append(n.mends, found{Fork: f, is: n.is})
	}
}

// foundSplits notes what proves that origins have forked.
func (n *node) foundSplits(splits ...crdtsync.Split) {
	for _, s := range splits {
		if n.world.bugs.secretForks || n.world.bugs.renameOnly && n.is.Has(s.Dot.Origin) {
			continue
		}
		f := crdtsync.Fork{Space: s.Space, Origin: s.Dot.Origin, Common: s.Dot.Seq - 1}
		if !n.world.onBranch(n.world.spaceIndex(s.Space), s.Dot) {
			n.world.violate(Identity, "%s takes %s for a name of two changes", n.name(), n.world.label(s.Dot))
		}
		n.mends = append(n.mends, found{f, n.is, &s})
	}
}

// mendable reports whether what the node wrote under an origin is its own to take
// back.
func (n *node) mendable(space int, o merge.Origin) bool {
	return n.is.Mendable(n.spaces[space], n.given[space], o)
}

// mendAll mends what was found, as far as the node is still who it was.
func (n *node) mendAll(crash CrashPoint) {
	for len(n.mends) > 0 && n.running() {
		f := n.mends[0]
		n.mends = n.mends[1:]
		n.mend(f, crash)
	}
}

func (n *node) mend(f found, crash CrashPoint) {
	m := n.mending(f)
	if m == nil {
		return
	}
	out, err := n.runMending(m, crash)
	switch {
	case errors.Is(err, errCrash):
		n.world.coverage[FaultCrashBefore]++
		n.crash("while it mends a fork")
	case errors.Is(err, errDiskFull):
		n.world.coverage[FaultDiskFull]++
	case err != nil:
		n.world.violate(Protocol, "%s cannot mend a fork: %v", n.name(), err)
	default:
		n.showMended(f, out)
		if crash != NoCrash {
			n.crash(crash.String())
		}
	}
}

// mending returns what is to be done about a fork, nil if that is nothing.
func (n *node) mending(f found) *spacestore.Mending {
	if f.is != n.is {
		return nil
	}
	m := &spacestore.Mending{
		Fork: f.Fork, Split: f.split, Is: n.is, Spaces: n.known(), Kinds: n.kinds, NewOrigin: n.newOrigin, At: n.wall(),
	}
	space := n.world.spaceIndex(f.Space) // -1: the peer is a copy of this node
	if f.split != nil {
		at := n.space(space).Severed(f.Origin)
		if m.Space = n.spaces[space]; at != 0 && at <= f.split.Dot.Seq || m.Space.Floor(f.Origin) >= f.split.Dot.Seq {
			return nil
		}
		return m
	}
	if space >= 0 && !n.mendable(space, f.Origin) {
		return nil
	}
	if space >= 0 && n.spaces[space] != nil && n.spaces[space].Head(f.Origin).Seq > f.Common {
		m.Space = n.spaces[space]
	}
	if n.world.bugs.renameOnly {
		m.Space = nil
	}
	if m.Space == nil && f.Origin != n.origin {
		return nil
	}
	return m
}

func (n *node) runMending(m *spacestore.Mending, crash CrashPoint) (out *spacestore.Mended, err error) {
	err = n.store.Update(background, func(tx store.Tx) (err error) {
		switch out, err = m.Run(tx); {
		case err != nil:
			return err
		case crash == BeforeCommit:
			return errCrash
		case n.full:
			return errDiskFull
		}
		return nil
	})
	return out, err
}

// renewed is what peers are told whose links begin anew.
var renewed = crdtsync.Goaway{Code: "renewed", Reason: "an origin of this node, or of others, has forked"}

// showMended lets the node go on as it is now.
func (n *node) showMended(f found, out *spacestore.Mended) {
	w := n.world
	if out.Is != n.is {
		n.rolledBack = false
		n.become(out.Is)
	}
	if f.split == nil {
		w.coverage[SeenRollback]++
		w.tell(n, "goes on as %s and takes back what it wrote after %s of %s", w.labels[n.origin], w.label(merge.Dot{Origin: f.Origin, Seq: f.Common}), f.Space)
	}
	if out.Split != nil {
		w.coverage[SeenSevered]++
		w.tell(n, "severs %s in %s, which names two changes", w.label(out.Split.Dot), f.Space)
	}
	for i, name := range w.spaces {
		if g, ok := out.Given[name]; ok {
			n.given[i][f.Origin] = g
		}
		if out.Stage != nil && f.Space == name {
			out.Stage.Commit()
			n.recent[i].Reset()
			if out.Split != nil {
				n.splits[i][f.Origin] = *out.Split
			}
			n.recordMended(i, out)
		}
		if n.spaces[i] != nil {
			n.spaces[i].Renew(n.origin)
			n.renewMembers(i, out.Stage != nil && f.Space == name)
		}
	}
	for id, s := range n.sides {
		if s != nil {
			n.send(w.nodes[id], []crdtsync.Frame{&renewed})
			w.hangUp(n, w.nodes[id])
		}
	}
}

// recordMended notes what the node has taken back, and as what changes were
// written again.
func (n *node) recordMended(space int, out *spacestore.Mended) {
	w, h := n.world, n.world.histories[space]
	n.judged[space] = false
	n.clock.Advance(out.Persist.Summary.LastTime)
	left := holding{}
	for _, r := range h.records {
		if gone := r.dot.Origin == out.Fork.Origin && r.dot.Seq > out.Fork.Common; n.applied[space].has(r.id) && !gone {
			left.add(r)
		}
	}
	n.applied[space] = left
	for _, held := range out.Kept {
		if n.older() { // others write it again, if they have it
			if r := h.twin(held.Dot, held.Raw); r != nil {
				r.aside = true
			}
			w.blurred = true // what it had superseded stays so at this node
			continue
		}
		w.violate(Durability, "%s cannot write %s of %s again: %s", n.name(), w.label(held.Dot), h.space, held.Reason)
	}
	for _, c := range out.Persist.Log {
		if first := h.beginning(c.Dot.Origin); first != nil && h.twin(c.Dot, c.Bytes()) == nil {
			n.recordAgain(space, c, first)
		}
		n.recordApplied(space, c)
	}
}

// recordAgain notes that a change of a branch was written again as c.
func (n *node) recordAgain(space int, c *crdtsync.Change, first *record) {
	w, h := n.world, n.world.histories[space]
	branch := h.branch(first)
	i := slices.IndexFunc(branch, func(r *record) bool { return r.time == c.Time })
	if i < 0 {
		w.violate(Identity, "%s writes %s again as a change that it never was", n.name(), first.label)
		return
	}
	if h.byDot[c.Dot] != nil {
		w.violate(Identity, "%s writes %s again as another change than others did", n.name(), branch[i].label)
		return
	}
	w.labels[c.Dot.Origin] = first.label + "~"
	was, label := branch[i], w.label(c.Dot)
	w.blurred = w.blurred || h.carriesReset(was, branch[:i])
	w.coverage[SeenTakenBack]++
	w.tell(n, "writes again as %s what was %s: %s", label, was.label, describeOps(was.ops))
	was.again = h.add(c, label, was.ops, renamed(was.visible, branch), renamed(was.seen, branch))
	was.again.acked = was.acked
}

// loadForks reads what the node knows of forks in a space.
func (n *node) loadForks(r store.Reader, name string) (err error) {
	i := n.world.spaceIndex(name)
	if n.given[i], err = spacestore.AllGiven(r, name); err != nil {
		return err
	}
	splits, err := spacestore.Splits(r, name)
	for _, s := range splits {
		n.splits[i][s.Dot.Origin] = s
	}
	return err
}

// disown notes that others hold a branch that the node has taken back.
func (n *node) disown(space int, c *crdtsync.Change) {
	s, ok := crdtsync.Disown(n.world.spaces[space], c)
	if at := n.spaces[space].Severed(c.Dot.Origin); ok && (at == 0 || at > c.Dot.Seq) {
		n.foundSplits(s)
	}
}

// splitBy returns what the refusal of a change proves together with the change
// that is in the log.
func (b *batch) splitBy(space int, c *crdtsync.Change) {
	n := b.node
	if n.is.Has(c.Dot.Origin) || n.spaces[space].Severed(c.Dot.Origin) != 0 || n.spaces[space].Head(c.Dot.Origin).Seq < c.Dot.Seq {
		return
	}
	name := n.world.spaces[space]
	own, err := spacestore.Change(b.tx, name, c.Dot)
	if err != nil {
		return
	}
	if s, ok := crdtsync.NewSplit(name, own, c.Bytes()); ok {
		n.foundSplits(s)
	}
}

// HashOf implements crdtsync.Chainer.
func (n *node) HashOf(space string, d merge.Dot) (hash crdtsync.Hash, ok bool) {
	head := n.Last(space, d.Origin)
	if head.Seq <= d.Seq {
		return head.Hash, head.Seq == d.Seq && d.Seq > 0
	}
	err := n.view(func(r store.Reader) error {
		h, known, err := spacestore.Last(r, space, d)
		hash, ok = h.Hash, known
		return err
	})
	return hash, ok && err == nil
}

// Chains implements crdtsync.Chainer.
func (n *node) Chains(space string) (known []crdtsync.Known) {
	for _, d := range n.Vector(space).Sorted() {
		known = append(known, crdtsync.Known{Dot: d, Hash: n.Last(space, d.Origin).Hash})
	}
	return known
}

// Severed implements crdtsync.Chainer.
func (n *node) Severed(space string, o merge.Origin) uint64 {
	if s := n.spaces[n.world.spaceIndex(space)]; s != nil {
		return s.Severed(o)
	}
	return 0
}

// Splits implements crdtsync.Chainer.
func (n *node) Splits(space string) []crdtsync.Split {
	return slices.SortedFunc(maps.Values(n.splits[n.world.spaceIndex(space)]), func(a, b crdtsync.Split) int { return a.Dot.Compare(b.Dot) })
}

// ownNonce reports whether a nonce is that of one of the node's own links.
func (n *node) ownNonce(nonce crdtsync.Nonce) bool { return nonce[0] == byte(n.id) }

// nonce names an end of a connection.
func (n *node) nonce(dial int) (nonce crdtsync.Nonce) {
	nonce[0] = byte(n.id)
	binary.BigEndian.PutUint64(nonce[8:], uint64(dial))
	return nonce
}
