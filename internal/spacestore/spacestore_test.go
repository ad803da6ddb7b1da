package spacestore_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

const name = "s"

var self = merge.Origin{1}

func view(t *testing.T, s store.Store, fn func(r store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func update(t *testing.T, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s store.Store) (space *crdtsync.Space) {
	t.Helper()
	view(t, s, func(r store.Reader) (err error) {
		space, err = spacestore.Load(r, name, self, crdt.Builtin())
		return err
	})
	return space
}

// step stages what fn does, saves it and commits it.
func step(t testing.TB, s store.Store, space *crdtsync.Space, fn func(st *crdtsync.Stage) error) {
	t.Helper()
	err := s.Update(t.Context(), func(tx store.Tx) error {
		st := space.Stage(spacestore.Cells{Reader: tx, Space: name}, 0)
		if err := fn(st); err != nil {
			return err
		}
		if err := spacestore.Save(tx, name, st.Persist()); err != nil {
			return err
		}
		st.Commit()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// element returns the cell of one element of a set.
func element(e string) crdtsync.CellKey {
	return crdtsync.CellKey{Object: "o", Kind: "orset", Element: "\x61" + e}
}

// write authors a change that puts or removes one element.
func write(at int64, key crdtsync.CellKey, put bool) func(st *crdtsync.Stage) error {
	return func(st *crdtsync.Stage) error {
		before, err := st.Cell(key)
		if err != nil {
			return err
		}
		op, err := crdt.Supersede(before, put, nil)
		if err != nil {
			return err
		}
		_, err = st.Author(hlc.New(at, 0), []crdtsync.CellOp{{Cell: key, Op: op}})
		return err
	}
}

// filled returns a store with changes of this node and of another, and the
// space as it is in memory.
func filled(t *testing.T) (store.Store, *crdtsync.Space) {
	t.Helper()
	s, space := memstore.New(), load(t, memstore.New())
	other := crdtsync.NewSpace(crdtsync.SpaceConfig{Name: name, Self: merge.Origin{2}, Kinds: crdt.Builtin()})
	remote := memstore.New()
	var theirs *crdtsync.Change
	step(t, remote, other, func(st *crdtsync.Stage) (err error) {
		theirs, err = st.Author(hlc.New(5, 0), []crdtsync.CellOp{{Cell: element("x"), Op: crdt.Op{Put: true}}})
		return err
	})
	step(t, s, space, write(10, element("a"), true))
	step(t, s, space, write(20, element("b"), true))
	step(t, s, space, func(st *crdtsync.Stage) error { return st.Offer(theirs) })
	step(t, s, space, write(30, element("a"), false))
	return s, space
}

func heads(s *crdtsync.Space) (list []crdtsync.Head) {
	for _, d := range s.Vector().Sorted() {
		list = append(list, s.Head(d.Origin))
	}
	return list
}

// TestLoadReturnsWhatWasSaved: after every step, and what is written next is
// the same byte for byte.
func TestLoadReturnsWhatWasSaved(t *testing.T) {
	s, space := filled(t)
	loaded := load(t, s)
	if loaded.Summary() != space.Summary() || !slices.Equal(heads(loaded), heads(space)) {
		t.Errorf("loaded %+v with %+v, saved %+v with %+v", loaded.Summary(), heads(loaded), space.Summary(), heads(space))
	}
	next := func(space *crdtsync.Space) (raw []byte) {
		view(t, s, func(r store.Reader) error {
			st := space.Stage(spacestore.Cells{Reader: r, Space: name}, 0)
			c, err := st.Author(hlc.New(99, 0), []crdtsync.CellOp{{Cell: element("z"), Op: crdt.Op{Put: true}}})
			if err == nil {
				raw = c.Bytes()
			}
			return err
		})
		return raw
	}
	if got, want := next(loaded), next(space); !bytes.Equal(got, want) {
		t.Errorf("the next change is %x after loading, %x before", got, want)
	}
	if empty := load(t, memstore.New()); empty.Summary() != (crdtsync.Summary{}) || len(heads(empty)) != 0 {
		t.Errorf("an empty store holds %+v", empty.Summary())
	}
}

func TestChangesAndCellsAreTheCallers(t *testing.T) {
	s, space := filled(t)
	var raw, cell []byte
	var last merge.Dot // of raw
	view(t, s, func(r store.Reader) (err error) {
		for d := range space.Heads() {
			for seq := uint64(1); seq <= d.Seq; seq++ {
				b, err := spacestore.Change(r, name, merge.Dot{Origin: d.Origin, Seq: seq})
				if err != nil {
					return err
				}
				if h, err := crdtsync.ReadHeader(b); err != nil || h.Dot != (merge.Dot{Origin: d.Origin, Seq: seq}) {
					t.Errorf("under %s/%d lies %s, %v", d.Origin, seq, h.Dot, err)
				}
				raw, last = b, merge.Dot{Origin: d.Origin, Seq: seq}
			}
		}
		key, _ := element("b").AppendBinary(nil)
		cell, err = spacestore.Cells{Reader: r, Space: name}.Cell(key)
		return err
	})
	clear(raw)
	clear(cell)
	view(t, s, func(r store.Reader) error {
		key, _ := element("b").AppendBinary(nil)
		if b, err := (spacestore.Cells{Reader: r, Space: name}).Cell(key); err != nil || bytes.Equal(b, cell) {
			t.Errorf("the stored cell is %x, %v after the caller overwrote its copy", b, err)
		}
		key, _ = element("a").AppendBinary(nil)
		if b, err := (spacestore.Cells{Reader: r, Space: name}).Cell(key); b != nil || err != nil {
			t.Errorf("a removed cell is %x, %v; want nil", b, err)
		}
		if b, err := spacestore.Change(r, name, last); err != nil || bytes.Equal(b, raw) {
			t.Errorf("the stored change is %x, %v after the caller overwrote its copy", b, err)
		}
		d := merge.Dot{Origin: merge.Origin{7}, Seq: 1}
		if _, err := spacestore.Change(r, name, d); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a change that is not there: %v, want ErrNotFound", err)
		}
		return nil
	})
}

// TestEmptyCellIsNotAbsent: a grow-only set's cell has no bytes.
func TestEmptyCellIsNotAbsent(t *testing.T) {
	s, space := memstore.New(), load(t, memstore.New())
	key := crdtsync.CellKey{Object: "o", Kind: "gset", Element: "\x61x"}
	step(t, s, space, func(st *crdtsync.Stage) error {
		_, err := st.Author(hlc.New(1, 0), []crdtsync.CellOp{{Cell: key, Op: crdt.Op{Put: true}}})
		return err
	})
	view(t, s, func(r store.Reader) error {
		b, _ := key.AppendBinary(nil)
		if got, err := (spacestore.Cells{Reader: r, Space: name}).Cell(b); got == nil || len(got) != 0 || err != nil {
			t.Errorf("cell = %#v, %v; want an empty one", got, err)
		}
		return nil
	})
}

func TestOrigin(t *testing.T) {
	s := memstore.New()
	view(t, s, func(r store.Reader) error {
		if _, ok, err := spacestore.Origin(r); ok || err != nil {
			t.Errorf("Origin of an empty store = %v, %v", ok, err)
		}
		return nil
	})
	update(t, s, func(tx store.Tx) error { return spacestore.SetOrigin(tx, self) })
	view(t, s, func(r store.Reader) error {
		if o, ok, err := spacestore.Origin(r); o != self || !ok || err != nil {
			t.Errorf("Origin = %v, %v, %v; want what was set", o, ok, err)
		}
		return nil
	})
}

// TestDamagedRecordsAreNamed damages each record that Load reads.
func TestDamagedRecordsAreNamed(t *testing.T) {
	put := func(table store.Table, key string, change func(b []byte) []byte) func(tx store.Tx) error {
		return func(tx store.Tx) error {
			b, err := tx.Get(name, table, []byte(key))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return tx.Put(name, table, []byte(key), change(bytes.Clone(b)))
		}
	}
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	own := string(self[:])
	for what, tc := range map[string]struct {
		damage func(tx store.Tx) error
		table  store.Table
	}{
		"own head gone":       {func(tx store.Tx) error { return tx.Delete(name, store.Vector, self[:]) }, store.Meta},
		"summary gone":        {func(tx store.Tx) error { return tx.Delete(name, store.Meta, []byte("summary")) }, store.Meta},
		"summary cut":         {put(store.Meta, "summary", cut), store.Meta},
		"summary longer":      {put(store.Meta, "summary", func(b []byte) []byte { return append(b, 0) }), store.Meta},
		"summary's version":   {put(store.Meta, "summary", func(b []byte) []byte { b[0]++; return b }), store.Meta},
		"summary's count":     {put(store.Meta, "summary", func(b []byte) []byte { b[1]++; return b }), store.Meta},
		"head cut":            {put(store.Vector, own, cut), store.Vector},
		"head longer":         {put(store.Vector, own, func(b []byte) []byte { return append(b, 0) }), store.Vector},
		"head without number": {put(store.Vector, own, func(b []byte) []byte { b[0] = 0; return b }), store.Vector},
		"head's tip":          {put(store.Vector, own, func(b []byte) []byte { b[len(b)-33] = 2; return b }), store.Vector},
		"head of nobody":      {put(store.Vector, "nobody", func([]byte) []byte { return nil }), store.Vector},
	} {
		t.Run(what, func(t *testing.T) {
			s, _ := filled(t)
			update(t, s, tc.damage)
			err := s.View(t.Context(), func(r store.Reader) error {
				_, err := spacestore.Load(r, name, self, crdt.Builtin())
				return err
			})
			if e, ok := errors.AsType[*store.CorruptError](err); !ok || e.Space != name || e.Table != tc.table {
				t.Errorf("Load = %v, want a CorruptError in table %d", err, tc.table)
			}
		})
	}
	for _, b := range [][]byte{{}, self[:15], append(self[:], 0)} {
		s := memstore.New()
		update(t, s, func(tx store.Tx) error { return tx.Put("", store.Meta, []byte("origin"), b) })
		err := s.View(t.Context(), func(r store.Reader) error { _, _, err := spacestore.Origin(r); return err })
		if _, ok := errors.AsType[*store.CorruptError](err); !ok {
			t.Errorf("an origin of %d bytes: %v, want a CorruptError", len(b), err)
		}
	}
}

// refusing is a transaction that fails at its k-th write.
type refusing struct {
	store.Tx
	left int
}

var errFull = errors.New("disk full")

func (r *refusing) Put(space string, t store.Table, key, value []byte) error {
	if r.left--; r.left < 0 {
		return errFull
	}
	return r.Tx.Put(space, t, key, value)
}

func (r *refusing) Delete(space string, t store.Table, key []byte) error {
	if r.left--; r.left < 0 {
		return errFull
	}
	return r.Tx.Delete(space, t, key)
}

// TestSaveReportsEveryWriteError: none is swallowed, whichever write it is.
func TestSaveReportsEveryWriteError(t *testing.T) {
	s, space := filled(t)
	for k := 0; ; k++ {
		var saved error
		err := s.Update(t.Context(), func(tx store.Tx) error {
			st := space.Stage(spacestore.Cells{Reader: tx, Space: name}, 0)
			if err := errors.Join(write(40, element("b"), false)(st), write(50, element("c"), true)(st)); err != nil {
				return err
			}
			saved = spacestore.Save(&refusing{tx, k}, name, st.Persist())
			return fmt.Errorf("stop: %w", errFull)
		})
		if !errors.Is(err, errFull) {
			t.Fatal(err)
		}
		if saved == nil {
			if k != 7 { // two cells, two changes, one head, what arrived, the summary
				t.Errorf("Save made %d writes, want 7", k)
			}
			return
		}
		if !errors.Is(saved, errFull) {
			t.Fatalf("error at write %d: Save = %v", k, saved)
		}
	}
}

// TestMembersOfTheFirstVersion: a cut was kept then that only seemed to be in
// common. It is good for resuming, and says nothing of what the member has.
func TestMembersOfTheFirstVersion(t *testing.T) {
	s, err := memstore.Open(&memstore.Disk{})
	if err != nil {
		t.Fatal(err)
	}
	o := merge.Origin{7}
	v1 := append([]byte{1, 1, 2, 100, 5}, 0, 0, 0, 0, 0, 0, 0, 9) // hub, turns, seen, position, print
	v1 = append(v1, 1, 'p', 0)                                    // name, nothing beyond
	update(t, s, func(tx store.Tx) error { return tx.Put(name, store.Acks, o[:], v1) })
	check := func(want crdtsync.Cursor) *crdtsync.Member {
		t.Helper()
		var members []*crdtsync.Member
		view(t, s, func(r store.Reader) (err error) {
			members, err = spacestore.Members(r, name)
			return err
		})
		m := members[0]
		if len(members) != 1 || m.Last != (crdtsync.Cursor{Position: 5, Print: 9}) || m.Common != want || m.Name != "p" || !m.Hub || m.Turns != 2 || m.Seen != 100 {
			t.Fatalf("members %+v, want one with the common cut %v", m, want)
		}
		return m
	}
	m := check(crdtsync.Cursor{})
	m.Common = crdtsync.Cursor{Position: 4, Print: 8}
	update(t, s, func(tx store.Tx) error { return spacestore.SetMember(tx, name, m) })
	check(m.Common)
}
