package spacestore_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// counting returns the nth change of an origin, which counts up to n.
func counting(t *testing.T, o merge.Origin, n uint64, prev crdtsync.Hash, at hlc.Timestamp) *crdtsync.Change {
	t.Helper()
	key := crdtsync.CellKey{Object: "c", Kind: "gcounter", Element: string(o[:])}
	c, err := crdtsync.NewChange(merge.Dot{Origin: o, Seq: n}, at, prev, nil, []crdtsync.CellOp{{Cell: key, Op: crdt.Op{Put: true, Payload: []byte{byte(n)}}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// counted fills a store with n changes of an origin that count.
func counted(t *testing.T, o merge.Origin, n int) (store.Store, *crdtsync.Space, []*crdtsync.Change) {
	t.Helper()
	s := memstore.New()
	space := load(t, s)
	var all []*crdtsync.Change
	step(t, s, space, func(st *crdtsync.Stage) error {
		prev := crdtsync.Hash{}
		for i := range uint64(n) {
			c := counting(t, o, i+1, prev, hlc.New(int64(i)+1, 0))
			prev = c.Hash()
			all = append(all, c)
			if err := st.Offer(c); err != nil {
				return err
			}
		}
		return nil
	})
	return s, space, all
}

// cutTo truncates the log of an origin.
func cutTo(t *testing.T, s store.Store, space *crdtsync.Space, d merge.Dot) {
	t.Helper()
	step(t, s, space, func(st *crdtsync.Stage) error {
		st.RaiseFloor(d)
		return nil
	})
	update(t, s, func(tx store.Tx) error {
		_, _, err := spacestore.Truncate(tx, name, d.Origin, 0, d.Seq, 1<<20)
		return err
	})
}

// total returns what a gcounter's cell of an origin says.
func total(t *testing.T, s store.Store, o merge.Origin) (n crdt.Total) {
	t.Helper()
	key, _ := crdtsync.CellKey{Object: "c", Kind: "gcounter", Element: string(o[:])}.AppendBinary(nil)
	view(t, s, func(r store.Reader) error {
		cell, err := spacestore.Cells{Reader: r, Space: name}.Cell(key)
		if err == nil {
			n, err = crdt.DecodeTotal(cell)
		}
		return err
	})
	return n
}

// TestTakeBackBelowTruncatedLog takes back the end of a chain whose beginning is no
// longer in the log: counts are moved over what was counted before.
func TestTakeBackBelowTruncatedLog(t *testing.T) {
	o := merge.Origin{9}
	s, space, all := counted(t, o, 9)
	cutTo(t, s, space, merge.Dot{Origin: o, Seq: 5})
	update(t, s, func(tx store.Tx) error {
		st := space.Stage(spacestore.Cells{Reader: tx, Space: name}, 0)
		left, err := spacestore.TakeBack(tx, space, st, merge.Dot{Origin: o, Seq: 6})
		if len(left) > 0 {
			t.Errorf("left %v", left)
		}
		if err == nil {
			err = spacestore.Save(tx, name, st.Persist())
		}
		st.Commit()
		return err
	})
	branch := crdtsync.BranchOrigin(all[5].Hash())
	if a, b := total(t, s, o), total(t, s, branch); a != 5 || b != 4 {
		t.Errorf("counts %d and %d, want 5 and 4", a, b)
	}
	again := load(t, s)
	if got := again.Head(o); got.Seq != 5 || got.Hash != all[4].Hash() || got.Time != all[4].Time {
		t.Errorf("head %+v, want the fifth change", got)
	}
	if again.Summary() != space.Summary() || again.Head(branch).Seq != 4 {
		t.Errorf("loaded again it is %+v, want %+v", again.Summary(), space.Summary())
	}
	view(t, s, func(r store.Reader) error {
		if _, err := spacestore.Change(r, name, merge.Dot{Origin: o, Seq: 6}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what was taken back is still in the log: %v", err)
		}
		return nil
	})
}

// TestTakeBackOfWhatIsGone is refused, and everything stays.
func TestTakeBackOfWhatIsGone(t *testing.T) {
	o := merge.Origin{9}
	s, space, _ := counted(t, o, 9)
	cutTo(t, s, space, merge.Dot{Origin: o, Seq: 5})
	err := s.Update(t.Context(), func(tx store.Tx) error {
		_, err := spacestore.TakeBack(tx, space, space.Stage(spacestore.Cells{Reader: tx, Space: name}, 0), merge.Dot{Origin: o, Seq: 5})
		return err
	})
	if !errors.Is(err, spacestore.ErrBelowFloor) {
		t.Errorf("TakeBack = %v, want ErrBelowFloor", err)
	}
}

// TestHashesOutliveTheLog keeps those of the last changes that left it, and no more.
func TestHashesOutliveTheLog(t *testing.T) {
	o := merge.Origin{9}
	s := memstore.New()
	const n, kept = spacestore.KeptHashes + 10, spacestore.KeptHashes
	space, prev := load(t, s), crdtsync.Hash{}
	var all []*crdtsync.Change
	step(t, s, space, func(st *crdtsync.Stage) error {
		for i := range uint64(n) {
			c, err := crdtsync.NewChange(merge.Dot{Origin: o, Seq: i + 1}, hlc.New(int64(i)+1, 0), prev, nil, nil)
			if err == nil {
				err = st.Offer(c)
			}
			if err != nil {
				return err
			}
			prev, all = c.Hash(), append(all, c)
		}
		return nil
	})
	cutTo(t, s, space, merge.Dot{Origin: o, Seq: n})
	view(t, s, func(r store.Reader) error {
		for _, c := range all {
			h, ok, err := spacestore.Last(r, name, c.Dot)
			if err != nil || ok != (c.Dot.Seq > n-kept) || ok && (h.Hash != c.Hash() || h.Time != c.Time || h.Seq != c.Dot.Seq) {
				return fmt.Errorf("Last(%v) = %+v, %v, %v", c.Dot, h, ok, err)
			}
		}
		return nil
	})
}

// TestSplitsAreKept severs the origin when the space is loaded again, and reports
// what is damaged.
func TestSplitsAreKept(t *testing.T) {
	o := merge.Origin{9}
	s, _, all := counted(t, o, 2)
	split, ok := crdtsync.NewSplit(name, all[1].Bytes(), counting(t, o, 2, all[0].Hash(), hlc.New(50, 0)).Bytes())
	if !ok {
		t.Fatal("no split")
	}
	update(t, s, func(tx store.Tx) error { return spacestore.SetSplit(tx, split) })
	if got := load(t, s).Severed(o); got != 2 {
		t.Errorf("severed at %d, want 2", got)
	}
	view(t, s, func(r store.Reader) error {
		got, err := spacestore.Splits(r, name)
		if len(got) != 1 || got[0].Dot != split.Dot || string(got[0].Changes[0]) != string(split.Changes[0]) {
			t.Errorf("Splits = %v", got)
		}
		return err
	})
	key := append([]byte("split\x00"), o[:]...)
	update(t, s, func(tx store.Tx) error { return tx.Put(name, store.Meta, key, []byte{1, 2, 3}) })
	err := s.View(t.Context(), func(r store.Reader) error {
		_, err := spacestore.Load(r, name, self, crdt.Builtin())
		return err
	})
	if e, ok := errors.AsType[*store.CorruptError](err); !ok || string(e.Key) != string(key) {
		t.Errorf("Load = %v, want a CorruptError about the proof", err)
	}
}

// TestSetApartOfWhatIsMissing leaves a branch of counts to others where not all is
// here that the branch grew out of: what was counted before is not known.
func TestSetApartOfWhatIsMissing(t *testing.T) {
	o := merge.Origin{9}
	_, _, all := counted(t, o, 4)
	for have, want := range []int{0, 0, 0, 1} {
		s, space, _ := counted(t, o, have)
		view(t, s, func(r store.Reader) error {
			st := space.Stage(spacestore.Cells{Reader: r, Space: name}, 0)
			st.Sever(all[3].Dot)
			done, err := spacestore.SetApart(r, space, st, crdt.Builtin(), all[3:])
			st.Commit()
			if waiting, _ := space.Waiting(); done != want || waiting > 0 {
				t.Errorf("with %d of the 3 changes before the branch: %d set apart and %d waiting, want %d and 0", have, done, waiting, want)
			}
			return err
		})
	}
}
