package spacestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Former returns the origins that the store's node gave up because it found that
// it had been restored or copied, oldest first.
func Former(r store.Reader) (former []merge.Origin, err error) {
	b, err := r.Get("", store.Meta, formerKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err == nil && len(b)%len(merge.Origin{}) != 0 {
		err = corrupt("", store.Meta, formerKey, errors.New("not origins"))
	}
	if err != nil {
		return nil, err
	}
	for o := range slices.Chunk(b, len(merge.Origin{})) {
		former = append(former, merge.Origin(o))
	}
	return former, nil
}

// SetFormer remembers origins that the node gave up, oldest first.
func SetFormer(tx store.Tx, former []merge.Origin) error {
	var b []byte
	for _, o := range former {
		b = append(b, o[:]...)
	}
	return tx.Put("", store.Meta, formerKey, b)
}

// A Given is what a space keeps of an origin that its node gave up.
type Given struct {
	// Own is the last change of the origin that this node wrote. If more are
	// applied, the rest came from others.
	Own uint64
	// Taken is the first change that was taken back, and its hash, if one was.
	Taken crdtsync.Known
}

var givenPrefix = []byte("given\x00")

// SetGiven keeps g of an origin.
func SetGiven(tx store.Tx, space string, o merge.Origin, g Given) error {
	b := binary.AppendUvarint(nil, g.Own)
	b = binary.AppendUvarint(b, g.Taken.Dot.Seq)
	return tx.Put(space, store.Meta, slices.Concat(givenPrefix, o[:]), append(b, g.Taken.Hash[:]...))
}

// AllGiven returns what a space keeps of origins that its node gave up.
func AllGiven(r store.Reader, space string) (map[merge.Origin]Given, error) {
	all := make(map[merge.Origin]Given)
	for rec, err := range r.Scan(space, store.Meta, store.Range{Prefix: givenPrefix}) {
		if err != nil {
			return nil, err
		}
		var o merge.Origin
		copy(o[:], rec.Key[len(givenPrefix):])
		in := varint.NewReader("given-up origin", rec.Value)
		g := Given{Own: in.Uvarint()}
		g.Taken.Dot = merge.Dot{Origin: o, Seq: in.Uvarint()}
		copy(g.Taken.Hash[:], in.Fixed(len(g.Taken.Hash)))
		if err := in.Done(); err != nil {
			return nil, corrupt(space, store.Meta, rec.Key, err)
		}
		all[o] = g
	}
	return all, nil
}

// rebuildBatch is how many changes a rebuild applies before it writes.
const rebuildBatch = 512

// A Rebuild is a space that was built anew out of its log.
type Rebuild struct {
	Space *crdtsync.Space
	// Branch is the changes that were left out of the origin that forked, in
	// order.
	Branch []*crdtsync.Change
}

// RebuildWithout applies the log of a space anew without what came after common
// of the origin o, and writes the outcome. What depends on that is left out too.
// The space named by empty is the same in its initial state. A log that no
// longer holds everything is an error that is [store.ErrNotFound].
func RebuildWithout(tx store.Tx, was, empty *crdtsync.Space, o merge.Origin, common uint64) (*Rebuild, error) {
	name := was.Name()
	out := &Rebuild{Space: empty}
	for seq := common + 1; seq <= was.Head(o).Seq; seq++ {
		c, err := decoded(tx, name, merge.Dot{Origin: o, Seq: seq})
		if err != nil {
			return nil, err
		}
		out.Branch = append(out.Branch, c)
	}
	log := logReader{tx: tx, space: was, o: o, common: common}
	if err := clearState(tx, name); err != nil {
		return nil, err
	}
	box := crdtsync.NewOutbox(name, &merge.VersionVector{}, nil)
	box.Fill(log)
	for {
		batch, err := box.Take(log, rebuildBatch, 1<<20)
		if err != nil {
			return nil, err
		}
		if len(batch) == 0 {
			return out, dropUnapplied(tx, was, empty)
		}
		if err := replay(tx, empty, batch); err != nil {
			return nil, err
		}
	}
}

func decoded(r store.Reader, space string, d merge.Dot) (*crdtsync.Change, error) {
	raw, err := Change(r, space, d)
	if err != nil {
		return nil, err
	}
	return crdtsync.DecodeChange(raw)
}

// replay applies changes out of the log and writes what comes of them.
func replay(tx store.Tx, s *crdtsync.Space, batch [][]byte) error {
	st := s.Stage(Cells{Reader: tx, Space: s.Name()}, 0)
	for _, raw := range batch {
		c, err := crdtsync.DecodeChange(raw)
		if err == nil {
			err = st.Offer(c)
		}
		if err != nil && !errors.Is(err, crdtsync.ErrEarly) && !errors.Is(err, crdtsync.ErrFull) {
			return fmt.Errorf("apply the log of space %q anew: %w", s.Name(), err)
		}
	}
	p := st.Persist()
	if err := Save(tx, s.Name(), p); err != nil {
		return err
	}
	st.Commit()
	return nil
}

// clearState removes the cells and heads of a space, and what is known of cuts
// and of ops that could not be read. Its log stays.
func clearState(tx store.Tx, space string) error {
	for _, all := range []struct {
		table  store.Table
		prefix []byte
	}{{store.Cells, nil}, {store.Vector, nil}, {store.Arrival, nil}, {store.Meta, unreadPrefix}} {
		var keys [][]byte
		for rec, err := range tx.Scan(space, all.table, store.Range{Prefix: all.prefix}) {
			if err != nil {
				return err
			}
			keys = append(keys, slices.Clone(rec.Key))
		}
		for _, k := range keys {
			if err := tx.Delete(space, all.table, k); err != nil {
				return err
			}
		}
	}
	return tx.Delete(space, store.Meta, summaryKey)
}

// dropUnapplied removes from the log what was applied before and is not now.
func dropUnapplied(tx store.Tx, was, now *crdtsync.Space) error {
	for d := range was.Heads() {
		for seq := now.Head(d.Origin).Seq + 1; seq <= d.Seq; seq++ {
			if err := tx.Delete(was.Name(), store.Log, logKey(merge.Dot{Origin: d.Origin, Seq: seq})); err != nil {
				return err
			}
		}
	}
	return nil
}

// logReader is the Local of an Outbox that reads the log of a space but for one
// branch.
type logReader struct {
	crdtsync.Local
	tx     store.Tx
	space  *crdtsync.Space
	o      merge.Origin
	common uint64
}

func (l logReader) Head(_ string, o merge.Origin) uint64 {
	if o == l.o {
		return l.common
	}
	return l.space.Head(o).Seq
}

func (l logReader) Vector(string) *merge.VersionVector {
	v := &merge.VersionVector{}
	for d := range l.space.Heads() {
		if d.Seq = l.Head("", d.Origin); d.Seq > 0 {
			v.Raise(d)
		}
	}
	return v
}

func (l logReader) Change(space string, d merge.Dot) ([]byte, error) { return Change(l.tx, space, d) }
