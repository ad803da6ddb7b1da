package simnet

import (
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// truncate takes a part of a space's log away: of each origin as many percent as
// the amount says, and the stubs too if it is above 100.
func (n *node) truncate(s Step) {
	if !n.running() || s.Space >= len(n.spaces) || n.spaces[s.Space] == nil || n.world.bugs.increments {
		return // the cells of a counter of increments do not merge
	}
	name := n.world.spaces[s.Space]
	if n.older() { // once it holds ops that it cannot read, it can send no snapshot
		return
	}
	n.world.coverage[FaultTruncate]++
	n.world.tell(n, "truncates its log of %s by %d %%", name, s.Amount)
	b := &batch{node: n, space: s.Space}
	b.chore = func() error {
		for _, d := range n.Vector(name).Sorted() {
			until := d.Seq * uint64(s.Amount%101) / 100
			if err := b.truncate(name, merge.Dot{Origin: d.Origin, Seq: until}, s.Amount > 100); err != nil {
				return err
			}
		}
		return nil
	}
	b.commit(s.Crash)
}

func (b *batch) truncate(name string, d merge.Dot, forget bool) error {
	st := b.stageOf(b.space)
	floor := b.node.Floor(name, d.Origin)
	last, _, err := spacestore.Truncate(b.tx, name, d.Origin, floor, d.Seq, 1<<30)
	if err != nil {
		return err
	}
	if b.node.world.bugs.floorAhead && last > floor {
		last += 2
	}
	if last > floor {
		st.RaiseFloor(merge.Dot{Origin: d.Origin, Seq: last})
	}
	if forget && d.Seq > 0 {
		_, err = spacestore.Forget(b.tx, name, d.Origin, min(d.Seq, max(last, floor)), 1<<30)
	}
	return err
}

// An intake is a snapshot that a node is receiving.
type intake struct {
	side     *side
	receiver spacestore.Receiver
}

// claim makes s the side from which the node takes a snapshot of a space, unless
// it takes one from another.
func (n *node) claim(space int, s *side) bool {
	in := n.intakes[space]
	if in == nil || !slices.Contains(n.sides, in.side) {
		in = &intake{side: s}
		n.intakes[space] = in
	}
	return in.side == s
}

// takeStaged does what a node does with parts of snapshots.
func (n *node) takeStaged(peer *node, s *side, r crdtsync.Ready, by Step) {
	for _, part := range r.Staged {
		if n.running() && n.sides[peer.id] == s {
			n.takePart(peer, s, n.world.spaceIndex(part.Space), part.Frame, by.Crash)
		}
	}
}

// abandon lets the node take snapshots from others again.
func (n *node) abandon(peer *node, r crdtsync.Ready) {
	for _, name := range r.Abandoned {
		if in := n.intakes[n.world.spaceIndex(name)]; in != nil && in.side == n.sides[peer.id] {
			n.intakes[n.world.spaceIndex(name)] = nil
		}
	}
}

func (n *node) takePart(peer *node, s *side, space int, f crdtsync.Frame, crash CrashPoint) {
	name := n.world.spaces[space]
	begin, ok := f.(*crdtsync.SnapshotBegin)
	if ok && !n.claim(space, s) {
		s.link.Leave(name)
		return
	}
	if ok && begin.Step == crdtsync.SnapshotOffer {
		n.acceptOffer(peer, s, begin)
		return
	}
	in := n.intakes[space]
	if in == nil || in.side != s {
		s.link.Leave(name)
		return
	}
	switch f := f.(type) {
	case *crdtsync.SnapshotBegin:
		n.keep(s, space, crash, func(tx store.Tx) error { return in.receiver.Begin(tx, name, f) })
	case *crdtsync.SnapshotChunk:
		n.keep(s, space, crash, func(tx store.Tx) error { return in.receiver.Chunk(tx, name, f) })
	case *crdtsync.SnapshotNamed:
		n.takeNamed(peer, s, space, f, crash)
	case *crdtsync.SnapshotEnd:
		n.merge(peer, s, space, f, crash)
	}
}

// takeNamed makes cells durable that the peer has named by ops, or asks for their
// keys.
func (n *node) takeNamed(peer *node, s *side, space int, f *crdtsync.SnapshotNamed, crash CrashPoint) {
	in := n.intakes[space]
	var unknown *merge.VersionVector
	n.keep(s, space, crash, func(tx store.Tx) (err error) {
		if f, err = n.misread(tx, f); err == nil {
			unknown, err = in.receiver.Named(tx, f.Space, f)
		}
		return err
	})
	if !n.running() || n.sides[peer.id] != s || n.intakes[space] != in {
		return
	}
	if unknown == nil {
		n.world.coverage[SeenNamed] += len(f.Gone) + len(f.Held)
		return
	}
	n.world.coverage[SeenUnnamed]++
	n.world.tell(n, "cannot tell which cells of %s %s has named", f.Space, peer.name())
	n.intakes[space] = nil
	n.follow(peer, s.link.Spell(f.Space, unknown))
}

// misread returns what a mutant makes of the names of cells: it leaves out those
// that it cannot tell, or takes the next op of a change for the one that is named.
func (n *node) misread(r store.Reader, f *crdtsync.SnapshotNamed) (*crdtsync.SnapshotNamed, error) {
	bugs := &n.world.bugs
	if !bugs.skipNames && !bugs.nextOp {
		return f, nil
	}
	read := *f
	read.Gone, read.Held = nil, nil
	var gone, held []string
	misread := func(name crdtsync.OpName) (crdtsync.OpName, string, error) {
		next := name
		next.Op++
		keys, err := spacestore.Resolve(r, f.Space, []crdtsync.OpName{name, next})
		if err == nil && bugs.nextOp && keys[1] != "" {
			return next, keys[1], nil
		}
		return name, keys[0], err
	}
	for _, name := range f.Gone {
		name, key, err := misread(name)
		if err != nil {
			return nil, err
		}
		if key != "" || !bugs.skipNames {
			read.Gone, gone = append(read.Gone, name), append(gone, key)
		}
	}
	for _, c := range f.Held {
		name, key, err := misread(c.OpName)
		if err != nil {
			return nil, err
		}
		if key != "" || !bugs.skipNames {
			read.Held, held = append(read.Held, crdtsync.NamedCell{OpName: name, State: c.State}), append(held, key)
		}
	}
	read.Check = crdtsync.CheckKeys(append(gone, held...))
	return &read, nil
}

func (n *node) acceptOffer(peer *node, s *side, f *crdtsync.SnapshotBegin) {
	var st spacestore.Staging
	err := n.view(func(r store.Reader) (err error) {
		st, err = spacestore.StagingOf(r, f.Space)
		return err
	})
	if err != nil {
		n.world.violate(Protocol, "%s cannot read what it has staged: %v", n.name(), err)
		return
	}
	if st.After != "" {
		n.world.coverage[SeenResumed]++
	}
	n.follow(peer, s.link.Request(f, st.Base, st.After))
}

// keep makes a part of a snapshot durable.
func (n *node) keep(s *side, space int, crash CrashPoint, write func(store.Tx) error) {
	err := n.store.Update(background, func(tx store.Tx) error {
		switch err := write(tx); {
		case err != nil:
			return err
		case crash == BeforeCommit:
			return errCrash
		case n.full:
			return errDiskFull
		}
		return nil
	})
	switch {
	case err == nil && crash == NoCrash:
	case err == nil, errors.Is(err, errCrash):
		n.crash("while it stages a snapshot")
	case errors.Is(err, errDiskFull):
		n.intakes[space] = nil
		s.link.Leave(n.world.spaces[space])
	default:
		n.world.violate(Protocol, "%s cannot stage a snapshot: %v", n.name(), err)
	}
}

// merge makes a complete snapshot visible.
func (n *node) merge(peer *node, s *side, space int, f *crdtsync.SnapshotEnd, crash CrashPoint) {
	var refused error
	b := &batch{node: n, space: space, snapshot: true}
	b.chore = func() (err error) {
		whole := spacestore.Staging{}
		if whole, err = spacestore.StagingOf(b.tx, f.Space); err != nil {
			return err
		}
		err, refused = spacestore.Merge(b.tx, f.Space, b.stageOf(space), f)
		switch {
		case errors.Is(refused, crdtsync.ErrFuture): // it waits
		case refused != nil:
			n.world.tell(n, "does not take a snapshot of %s: %v", f.Space, refused)
		case whole.Whole:
			n.world.coverage[SeenWhole]++
		default:
			n.world.coverage[SeenPart]++
		}
		return err
	}
	b.told = func() {
		if n.sides[peer.id] == s {
			n.follow(peer, s.link.Merged(f.Space, n.Vector(f.Space).Sorted(), refused))
		}
	}
	b.commit(crash)
	if n.running() && !errors.Is(refused, crdtsync.ErrFuture) {
		n.intakes[space] = nil
	}
}

// recordMerged notes the changes that came in a snapshot as applied.
func (n *node) recordMerged(space int, p *crdtsync.Persist) {
	if len(p.Merged) == 0 {
		return
	}
	h, came := n.world.histories[space], merge.VectorOf(p.Merged...)
	for _, r := range h.records {
		if !came.Contains(r.dot) || n.applied[space].has(r.id) {
			continue
		}
		if r.time > n.clock.Limit() {
			n.world.violate(Stamps, "%s takes %s in a snapshot, stamped beyond what its clock admits", n.name(), r.label)
		}
		n.applied[space].add(r)
		n.world.tell(n, "has %s of %s from a snapshot", r.label, h.space)
	}
	for _, d := range p.Merged {
		if r := h.byDot[d]; r == nil || p.Heads[d.Origin].Seq == d.Seq && p.Heads[d.Origin].Hash != sha256.Sum256(r.raw) {
			n.world.violate(Identity, "%s takes %s in a snapshot, which its author did not write so", n.name(), n.world.label(d))
		}
	}
	if !n.world.bugs.deafClock {
		n.clock.Advance(p.Summary.LastTime)
	}
}

// below adds to found what a node needs no log for.
func (n *node) below(r store.Reader, space int, found *bitset) error {
	floor, err := spacestore.Floor(r, n.world.spaces[space])
	if err != nil {
		return err
	}
	for _, rec := range n.world.histories[space].records {
		if floor.Contains(rec.dot) && (n.world.histories[space].alone(rec) || n.applied[space].has(rec.id)) {
			found.add(rec.id)
		}
	}
	return nil
}

// Floor implements crdtsync.Source.
func (n *node) Floor(space string, o merge.Origin) uint64 {
	if s := n.spaces[n.world.spaceIndex(space)]; s != nil {
		return s.Floor(o)
	}
	return 0
}

func (n *node) snapshots(space string, fn func(spacestore.Snapshots) error) error {
	return n.view(func(r store.Reader) error { return fn(spacestore.Snapshots{Reader: r, Space: space}) })
}

// State implements crdtsync.Source.
func (n *node) State(space string) (heads map[merge.Origin]crdtsync.Head, sum crdtsync.Summary, err error) {
	err = n.snapshots(space, func(s spacestore.Snapshots) (err error) {
		heads, sum, err = s.State()
		return err
	})
	return heads, sum, err
}

// CellsAfter implements crdtsync.Source. It returns few cells at a time, so that
// much can happen between two chunks.
func (n *node) CellsAfter(space, key string, _ int) (cells []crdtsync.StoredCell, err error) {
	err = n.snapshots(space, func(s spacestore.Snapshots) (err error) {
		cells, err = s.CellsAfter(key, 256)
		return err
	})
	return cells, err
}

// CellsAt implements crdtsync.Source.
func (n *node) CellsAt(space string, keys []string) (cells []crdtsync.StoredCell, err error) {
	err = n.snapshots(space, func(s spacestore.Snapshots) (err error) {
		cells, err = s.CellsAt(keys)
		return err
	})
	return cells, err
}

// Touched implements crdtsync.Source.
func (n *node) Touched(space string, after merge.Dot, until uint64, count int, known merge.Dots) (touches []crdtsync.Touch, last uint64, err error) {
	err = n.snapshots(space, func(s spacestore.Snapshots) (err error) {
		touches, last, err = spacestore.Touched(s.Reader, space, after, until, min(count, 4), known)
		return err
	})
	if n.world.bugs.missTouched && len(touches) > 1 {
		touches = touches[1:]
	}
	return touches, last, err
}

var _ crdtsync.Source = (*node)(nil)

// Kinds whose Merge is wrong.

type badMerge func(k crdt.Kind, element []byte, mine, theirs crdt.Held) ([]byte, error)

// wrongMerge is a kind with a wrong Merge.
type wrongMerge struct {
	crdt.Kind
	merge badMerge
}

// Merge implements crdt.Kind, wrongly.
func (k wrongMerge) Merge(element []byte, mine, theirs crdt.Held) ([]byte, error) {
	return k.merge(k.Kind, element, mine, theirs)
}

// keepRemoved does not take away what the sender of a snapshot has removed.
func keepRemoved(k crdt.Kind, element []byte, mine, theirs crdt.Held) ([]byte, error) {
	if theirs.Cell == nil {
		return mine.Cell, nil
	}
	return k.Merge(element, mine, theirs)
}

// replaceMine puts the cell of a snapshot in place of the own one.
func replaceMine(_ crdt.Kind, _ []byte, _, theirs crdt.Held) ([]byte, error) { return theirs.Cell, nil }
