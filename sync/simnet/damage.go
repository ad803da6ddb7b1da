package simnet

import (
	"math/rand/v2"
	"slices"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// auditEvery is how many heartbeats somebody waits before auditing again.
const auditEvery = 25

// decay damages cells of one node at rest, in half of all runs, has some node
// compare them with a peer, and demands that all hold again what they held. That
// the peers' logs agree is what was judged before.
func (w *world) decay(bound int) {
	r := w.random("damage", 0)
	space, pair := r.IntN(len(w.spaces)), w.links[r.IntN(len(w.links))]
	if w.failure != nil || w.knobs.Older || w.knobs.Truncate+w.knobs.Trim > 0 || r.IntN(2) > 0 { // what is mended is mended out of the log
		return
	}
	victim, peer := pair[0], pair[1]
	if r.IntN(2) == 0 {
		victim, peer = peer, victim
	}
	want, err := victim.observe(space)
	if err != nil || victim.damage(space, r) == 0 {
		return
	}
	w.damaged = true
	asks, other := victim, peer
	if r.IntN(2) == 0 {
		asks, other = peer, victim
	}
	ticks := 0
	w.run(bound, func() bool {
		if w.sound(space, want) {
			return true
		}
		if s := asks.sides[other.id]; s != nil && ticks%auditEvery == 0 {
			asks.follow(other, s.link.Audit(w.spaces[space]))
		}
		ticks++
		return false
	})
	if w.failure == nil && !w.sound(space, want) {
		w.violate(Repair, "%s still holds damaged cells of %s, or says so, %d heartbeats after it was damaged", victim.name(), w.spaces[space], bound)
	}
	w.judgeAll()
}

// sound reports whether every node holds what was wanted, and knows it.
func (w *world) sound(space int, want *observation) bool {
	return !slices.ContainsFunc(w.nodes, func(n *node) bool {
		o, err := n.observe(space)
		return err != nil || o.digest != want.digest || n.Summary(w.spaces[space]).Cells != want.print
	})
}

// damage alters some cells of a space behind the node's back, and returns how many.
func (n *node) damage(space int, r *rand.Rand) (count int) {
	name := n.world.spaces[space]
	err := n.store.Update(background, func(tx store.Tx) error {
		var cells []store.Record
		for rec, err := range tx.Scan(name, store.Cells, store.Range{}) {
			if err != nil {
				return err
			}
			cells = append(cells, store.Record{Key: slices.Clone(rec.Key), Value: slices.Clone(rec.Value)})
		}
		for i := range cells {
			if r.IntN(3) > 0 {
				continue
			}
			count++
			if err := spoil(tx, name, &cells[i], r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		n.world.violate(Protocol, "%s: %v", n.name(), err)
	}
	n.world.coverage[FaultDamage] += count
	n.world.tell(n, "has %d cells of %s damaged", count, name)
	return count
}

// spoil flips a bit of a cell or loses the cell.
func spoil(tx store.Tx, space string, rec *store.Record, r *rand.Rand) error {
	if len(rec.Value) == 0 || r.IntN(3) == 0 {
		return tx.Delete(space, store.Cells, rec.Key)
	}
	rec.Value[r.IntN(len(rec.Value))] ^= 1 << r.IntN(8)
	return tx.Put(space, store.Cells, rec.Key, rec.Value)
}

// compareCells does what a link asks for in order to compare cells.
func (n *node) compareCells(peer *node, c crdtsync.Comparing) {
	for _, space := range c.Scan {
		if s := n.sides[peer.id]; s != nil {
			scan, err := n.scan(space)
			n.follow(peer, s.link.Scanned(space, scan, err))
		}
	}
	for i := range c.Mend {
		if s := n.sides[peer.id]; s != nil {
			done, err := n.mendCells(&c.Mend[i])
			n.follow(peer, s.link.Mended(&c.Mend[i], done, err))
		}
	}
}

// scan reads the cells of a space and puts the fingerprint right.
func (n *node) scan(space string) (scan *crdtsync.Scan, err error) {
	err = n.store.Update(background, func(tx store.Tx) (err error) {
		if scan, err = spacestore.Scan(tx, space); err != nil || n.world.bugs.trustPrint {
			return err
		}
		st := n.spaces[n.world.spaceIndex(space)].Stage(spacestore.Cells{Reader: tx, Space: space}, 0)
		if off := scan.Damage(); off != (crdtsync.Fingerprint{}) {
			st.Correct(off)
		}
		return n.keepMended(tx, space, st)
	})
	return scan, err
}

// mendCells lets the log and the peer decide about cells.
func (n *node) mendCells(m *crdtsync.Mending) (done *crdtsync.Mended, err error) {
	core := n.spaces[n.world.spaceIndex(m.Space)]
	log := crdtsync.Local(n)
	if n.world.bugs.mendBlindly {
		log = logless{n}
	}
	proof := crdtsync.Prove(log, core, m.Keys)
	err = n.store.Update(background, func(tx store.Tx) (err error) {
		st := core.Stage(spacestore.Cells{Reader: tx, Space: m.Space}, 0)
		if done, err = st.Mend(m, proof); err != nil {
			return err
		}
		return n.keepMended(tx, m.Space, st)
	})
	if err == nil && len(done.Disputed) > 0 && n.world.forked == nil {
		n.world.violate(Repair, "%s and a peer both derive cells of %s from whole logs, and differently", n.name(), m.Space)
	}
	return done, err
}

func (n *node) keepMended(tx store.Tx, space string, st *crdtsync.Stage) error {
	p := st.Persist()
	if err := spacestore.Save(tx, space, p); err != nil {
		return err
	}
	st.Commit()
	n.judged[n.world.spaceIndex(space)] = false
	return nil
}

// logless is a node that has lost its log: what a mutant mends by.
type logless struct{ *node }

// Change finds nothing.
func (logless) Change(string, merge.Dot) ([]byte, error) { return nil, store.ErrNotFound }
