package simnet

import (
	"errors"
	"slices"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A batch is what one commit of a node brings: changes that a peer offered, a
// local transaction, or both.
type batch struct {
	node   *node
	from   *node        // who offered
	origin merge.Origin // of it, as it said
	met    []int        // spaces in which it has a new cut in common
	offers []crdtsync.Offered
	// position is that at which the space of the offers meets from.
	position uint64
	write    []Op // of the local transaction
	space    int  // of the local transaction
	client   string

	tx       store.Tx
	stages   []*crdtsync.Stage // by space, nil for one that is not touched
	persists []*crdtsync.Persist
	done     []Op             // what the transaction really did
	own      *crdtsync.Change // its change, nil if it did nothing
	offered  []map[merge.Origin]bool
	refused  [][]error

	chore    func() error // other work, in place of all that
	told     func()       // called when the writer is told
	snapshot bool         // the work is to merge a snapshot

	// Of mutants; see misdeeds.go.
	forced *crdtsync.Space
	log    *crdtsync.Change
	real   crdtsync.Head
	torn   []map[string][]byte
	until  int // the step at which what was torn is mended
}

// Ends of a store transaction that are no failure of the store.
var (
	errNothing  = errors.New("simnet: nothing to write")
	errCrash    = errors.New("simnet: crash before the commit")
	errDiskFull = errors.New("simnet: disk full")
)

// commit stages everything, makes it durable and only then publishes it.
func (b *batch) commit(crash CrashPoint) {
	n := b.node
	w := n.world
	count := w.knobs.Spaces
	b.stages, b.persists = make([]*crdtsync.Stage, count), make([]*crdtsync.Persist, count)
	b.offered, b.refused = make([]map[merge.Origin]bool, count), make([][]error, count)
	err := n.store.Update(background, func(tx store.Tx) error { return b.run(tx, crash) })
	switch {
	case err == nil:
		b.publish(crash)
	case errors.Is(err, errNothing):
		b.publish(NoCrash)
	case errors.Is(err, errCrash):
		w.coverage[FaultCrashBefore]++
		n.crash(crash.String())
	case errors.Is(err, errDiskFull):
		w.coverage[FaultDiskFull]++
		w.tell(n, "cannot commit: the disk is full")
	default:
		w.violate(Protocol, "%s: %v", n.name(), err)
	}
}

func (b *batch) run(tx store.Tx, crash CrashPoint) error {
	b.tx = tx
	if err := b.stageOffers(); err != nil {
		return err
	}
	if err := b.stageWrite(); err != nil {
		return err
	}
	if b.chore != nil {
		if err := b.chore(); err != nil {
			return err
		}
	}
	b.hurry()
	nothing := b.chore == nil
	for i, st := range b.stages {
		if st == nil {
			continue
		}
		b.persists[i] = st.Persist()
		if b.persists[i].Empty() {
			continue
		}
		nothing = false
		if err := b.save(i, b.persists[i]); err != nil {
			return err
		}
	}
	if err := b.saveMeetings(); err != nil {
		return err
	}
	switch {
	case nothing:
		return errNothing
	case crash == BeforeCommit:
		return errCrash
	case b.node.full:
		return errDiskFull
	}
	return nil
}

// save writes what a stage wants durable.
func (b *batch) save(space int, p *crdtsync.Persist) error {
	b.disguise(p)
	b.keepPrint(space, p)
	b.tear(p)
	return spacestore.Save(b.tx, b.node.world.spaces[space], p)
}

// stageOf returns the batch's stage of a space.
func (b *batch) stageOf(space int) *crdtsync.Stage {
	if b.stages[space] == nil {
		n := b.node
		cells := spacestore.Cells{Reader: b.tx, Space: n.world.spaces[space]}
		b.stages[space] = n.space(space).Stage(cells, n.limit())
		b.offered[space] = make(map[merge.Origin]bool)
	}
	return b.stages[space]
}

func (b *batch) stageWrite() error {
	if len(b.write) == 0 {
		return nil
	}
	st := b.stageOf(b.space)
	t := &transaction{node: b.node, reader: b.tx, stage: st, space: b.node.world.spaces[b.space]}
	for _, op := range b.write {
		if _, known := b.node.kinds[op.Kind]; !known {
			continue
		}
		if err := t.run(op); err != nil {
			return err
		}
	}
	if len(t.cells) == 0 {
		return nil
	}
	if bugs := b.node.world.bugs; !bugs.deafClock && !bugs.staleClock {
		b.node.clock.Advance(st.LastTime())
	}
	own, err := st.Author(b.node.clock.Now(), t.cells)
	if err != nil {
		return err
	}
	b.own, b.done = own, t.done
	return nil
}

func (b *batch) stageOffers() error {
	for _, o := range b.offers {
		space := b.node.world.spaceIndex(o.Space)
		if err := b.offer(space, o.Change); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) offer(space int, c *crdtsync.Change) error {
	w := b.node.world
	st := b.stageOf(space)
	err := spacestore.TookBack(b.node.given[space], c)
	if err == nil {
		err = st.Offer(c)
	} else {
		b.node.disown(space, c)
	}
	b.offered[space][c.Dot.Origin] = true
	if err != nil && b.force(space, c, err) {
		return nil
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, crdtsync.ErrDuplicate):
		w.coverage[SeenDuplicate]++
	case errors.Is(err, crdtsync.ErrEarly):
		w.coverage[SeenEarly]++
	case errors.Is(err, crdtsync.ErrFull):
		w.coverage[SeenFull]++
	case errors.Is(err, crdtsync.ErrFuture):
		w.coverage[SeenFuture]++
		b.refused[space] = append(b.refused[space], err)
	case errors.Is(err, crdtsync.ErrForked) && w.knobs.Rollback > 0:
		b.splitBy(space, c)
		b.refused[space] = append(b.refused[space], err)
	default:
		return err
	}
	if w.trace != nil {
		w.tell(b.node, "does not apply %s: %s", w.label(c.Dot), w.reason(err))
	}
	return nil
}

// reason is an error about a change in short, for the trace.
func (w *world) reason(err error) string {
	if e, ok := errors.AsType[*crdtsync.EarlyError](err); ok {
		if e.Kept {
			return "waits for " + w.label(e.Missing)
		}
		return "no room to wait for " + w.label(e.Missing)
	}
	if errors.Is(err, crdtsync.ErrFuture) {
		return "from the future"
	}
	if errors.Is(err, crdtsync.ErrForked) {
		return "its dot names another change"
	}
	return "applied before"
}

// publish shows what is durable to the simulator, the client and the peers.
func (b *batch) publish(crash CrashPoint) {
	n := b.node
	b.showMeetings()
	for i, st := range b.stages {
		if st != nil {
			st.Commit()
			n.remember(i, b.persists[i])
			n.judged[i] = false
			b.reload(i)
			n.committed(i, b)
		}
	}
	if crash == AfterCommit {
		n.world.coverage[FaultCrashAfter]++
		n.crash(crash.String())
		return
	}
	if n.world.bugs.halfSnapshot && b.snapshot {
		n.late, b.until = b, n.world.steps+3*judgeEvery*len(n.world.nodes)
	} else if err := b.mendTear(); err != nil {
		n.world.violate(Protocol, "%s: %v", n.name(), err)
	}
	b.acknowledge()
	if crash == AfterAck {
		n.world.coverage[FaultCrashAck]++
		n.crash(crash.String())
		return
	}
	b.spread(crash)
}

// acknowledge tells the writer and the peer that offered.
func (b *batch) acknowledge() {
	n := b.node
	if b.own != nil {
		n.world.histories[b.space].twin(b.own.Dot, b.own.Bytes()).acked = true
		b.tellClient()
	}
	if b.told != nil {
		b.told()
	}
	if b.from == nil {
		return
	}
	for i, p := range b.persists {
		side := n.sides[b.from.id]
		if p != nil && side != nil {
			n.follow(b.from, side.link.Done(n.world.spaces[i], b.heads(i), b.refused[i]))
		}
	}
}

// heads returns the heads that an acknowledgement names: of the origins that
// were offered or moved, as the batch leaves them.
func (b *batch) heads(space int) []merge.Dot {
	heads := sortedHeads(b.persists[space].Heads)
	for o := range b.offered[space] {
		d := merge.Dot{Origin: o, Seq: b.node.spaces[space].Head(o).Seq}
		if b.node.world.bugs.ackWaiting {
			d.Seq = b.offers[len(b.offers)-1].Change.Dot.Seq
		}
		if _, moved := b.persists[space].Heads[o]; !moved && d.Seq > 0 {
			heads = append(heads, d)
		}
	}
	slices.SortFunc(heads, merge.Dot.Compare)
	return heads
}

// spread tells every link what has moved.
func (b *batch) spread(crash CrashPoint) {
	n, told := b.node, false
	for i, p := range b.persists {
		if p == nil || p.Empty() {
			continue
		}
		heads := sortedHeads(p.Heads)
		for id, s := range n.sides {
			if s == nil {
				continue
			}
			if told && crash == AmidSpread {
				n.world.coverage[FaultCrashAmid]++
				n.crash(crash.String())
				return
			}
			n.follow(n.world.nodes[id], s.link.Moved(n.world.spaces[i], heads))
			n.pumpTo(id)
			told = true
		}
	}
}
