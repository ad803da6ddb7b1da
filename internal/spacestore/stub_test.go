package spacestore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

func at(o merge.Origin, seq uint64) merge.Dot { return merge.Dot{Origin: o, Seq: seq} }

func stored(key crdtsync.CellKey) string {
	b, _ := key.AppendBinary(nil)
	return string(b)
}

// stubOf returns the stored form of the stub of a change, nil if there is none.
func stubOf(t *testing.T, s store.Store, d merge.Dot) (stub []byte) {
	t.Helper()
	view(t, s, func(r store.Reader) error {
		b, err := r.Get(name, store.Meta, stubKey(d))
		stub = bytes.Clone(b)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	return stub
}

func stubKey(d merge.Dot) []byte {
	return binary.BigEndian.AppendUint64(append([]byte("stub"), d.Origin[:]...), d.Seq)
}

// cut truncates the log of an origin.
func cut(t testing.TB, s store.Store, space *crdtsync.Space, o merge.Origin, until uint64) {
	t.Helper()
	err := s.Update(t.Context(), func(tx store.Tx) error {
		st := space.Stage(spacestore.Cells{Reader: tx, Space: name}, 0)
		last, _, err := spacestore.Truncate(tx, name, o, space.Floor(o), until, 1<<30)
		if err != nil {
			return err
		}
		st.RaiseFloor(at(o, last))
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

// touched returns what the changes of an origin after a number wrote to.
func touched(t *testing.T, s store.Store, after merge.Dot, until uint64, known merge.Dots) (touches []crdtsync.Touch) {
	t.Helper()
	view(t, s, func(r store.Reader) (err error) {
		touches, _, err = spacestore.Touched(r, name, after, until, 1<<30, known)
		return err
	})
	return touches
}

// TestTouchedNamesTheLatestKnown overwrites an element again and again, in the
// log and out of it: who knows some of the writes gets the name of the last.
func TestTouchedNamesTheLatestKnown(t *testing.T) {
	const writes, remembered = 8, 4
	for floor := range uint64(writes + 1) {
		s, space := memstore.New(), load(t, memstore.New())
		for i := range writes {
			step(t, s, space, write(int64(10+i), element("x"), i < writes-1))
		}
		cut(t, s, space, self, floor)
		for known := range uint64(writes) {
			want := crdtsync.OpName{}
			if known > 0 && (known >= floor || floor-known <= remembered) {
				want = crdtsync.OpName{Dot: at(self, known)}
			}
			var got crdtsync.OpName
			for _, touch := range touched(t, s, at(self, known), writes, merge.VectorOf(at(self, known))) {
				if touch.Key != stored(element("x")) {
					t.Fatalf("touched %q", touch.Key)
				}
				if got.Compare(touch.Name) < 0 {
					got = touch.Name
				}
			}
			if got != want {
				t.Errorf("floor %d, up to %d known: the name is %v, want %v", floor, known, got, want)
			}
		}
		for _, touch := range touched(t, s, at(self, 1), writes, nil) {
			if touch.Named() {
				t.Errorf("floor %d: %v is a name where nothing is known", floor, touch.Name)
			}
		}
	}
}

// text returns the cell of an element of more than one character.
func text(e string) crdtsync.CellKey {
	b, err := crdt.EncodeElement(e)
	if err != nil {
		panic(err)
	}
	return crdtsync.CellKey{Object: "o", Kind: "orset", Element: string(b)}
}

// several authors one change that does something to many elements.
func several(at int64, put bool, elements ...string) func(st *crdtsync.Stage) error {
	return func(st *crdtsync.Stage) error {
		ops := make([]crdtsync.CellOp, len(elements))
		for i, e := range elements {
			cell, err := st.Cell(text(e))
			if err != nil {
				return err
			}
			op, err := crdt.Supersede(cell, put, nil)
			if err != nil {
				return err
			}
			ops[i] = crdtsync.CellOp{Cell: text(e), Op: op}
		}
		_, err := st.Author(hlc.New(at, 0), ops)
		return err
	}
}

// TestNamesAreOfEveryOrigin: an element that three nodes have added at a time is
// known by each of the adds, and after its removal it is so still.
func TestNamesAreOfEveryOrigin(t *testing.T) {
	s, space := memstore.New(), load(t, memstore.New())
	others := []merge.Origin{{2}, {3}}
	step(t, s, space, several(5, true, "a", "b", "c"))
	for _, o := range others {
		other := crdtsync.NewSpace(crdtsync.SpaceConfig{Name: name, Self: o, Kinds: crdt.Builtin()})
		there := memstore.New()
		step(t, there, other, several(6, true, "b", "c"))
		var c *crdtsync.Change
		view(t, there, func(r store.Reader) error {
			raw, err := spacestore.Change(r, name, at(o, 1))
			if err == nil {
				c, err = crdtsync.DecodeChange(raw)
			}
			return err
		})
		step(t, s, space, func(st *crdtsync.Stage) error { return st.Offer(c) })
	}
	step(t, s, space, several(9, false, "a", "b", "c"))
	check := func(when string) {
		t.Helper()
		for _, o := range append(others, self) {
			got := touched(t, s, at(self, 1), 2, merge.VectorOf(at(o, 1)))
			for i, e := range []string{"a", "b", "c"} {
				want := crdtsync.Touch{Key: stored(element(e)), Name: crdtsync.OpName{Dot: at(o, 1), Op: uint64(i)}}
				if want.Name.Op--; o == self {
					want.Name.Op++
				} else if e == "a" {
					want.Name = crdtsync.OpName{}
				}
				if len(got) != 3 || got[i] != want {
					t.Errorf("%s, %v known: %+v, want %+v at %d", when, o, got, want, i)
				}
			}
		}
	}
	check("from the log")
	cut(t, s, space, self, 2)
	check("from a stub, others in the log")
	cut(t, s, space, others[0], 1)
	cut(t, s, space, others[1], 1)
	check("from stubs")
}

// TestResolve tells from names which cells they mean, in the log and out of it,
// and of nothing else.
func TestResolve(t *testing.T) {
	s, space := memstore.New(), load(t, memstore.New())
	step(t, s, space, several(5, true, "a", "b", "c"))
	step(t, s, space, several(6, false, "b"))
	names := []crdtsync.OpName{
		{Dot: at(self, 1)},
		{Dot: at(self, 1), Op: 1},
		{Dot: at(self, 1), Op: 2},
		{Dot: at(self, 1), Op: 3},
		{Dot: at(self, 2)},
		{Dot: at(self, 3)},
		{Dot: at(merge.Origin{7}, 1)},
		{Dot: at(self, 1), Op: 1<<64 - 1},
		{},
	}
	a, b, c := stored(element("a")), stored(element("b")), stored(element("c"))
	check := func(when string, want ...string) {
		t.Helper()
		view(t, s, func(r store.Reader) error {
			got, err := spacestore.Resolve(r, name, names)
			if want = append(want, make([]string, len(names)-len(want))...); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
			return err
		})
	}
	check("in the log", a, b, c, "", b)
	cut(t, s, space, self, 1)
	check("the first one in a stub", a, b, c, "", b)
	cut(t, s, space, self, 2)
	check("both in stubs", a, "", c, "", b)
	update(t, s, func(tx store.Tx) error { _, err := spacestore.Forget(tx, name, self, 1, 100); return err })
	check("one forgotten", "", "", "", "", b)
}

// TestOldStubs reads stubs of before ops had numbers: they tell keys and no names,
// and what is superseded leaves them.
func TestOldStubs(t *testing.T) {
	s, space := memstore.New(), load(t, memstore.New())
	step(t, s, space, several(5, true, "a", "b"))
	step(t, s, space, several(6, false, "b"))
	cut(t, s, space, self, 1)
	a, b := stored(element("a")), stored(element("b"))
	old := varint.AppendString(varint.AppendString([]byte{2}, a), b)
	update(t, s, func(tx store.Tx) error { return tx.Put(name, store.Meta, stubKey(at(self, 1)), old) })
	if got := touched(t, s, at(self, 0), 1, space.Vector()); len(got) != 2 || got[0] != (crdtsync.Touch{Key: a}) || got[1] != (crdtsync.Touch{Key: b}) {
		t.Errorf("an old stub tells %+v", got)
	}
	view(t, s, func(r store.Reader) error {
		keys, err := spacestore.Resolve(r, name, []crdtsync.OpName{{Dot: at(self, 1)}})
		if keys[0] != "" {
			t.Errorf("an old stub says that its first op wrote to %q", keys[0])
		}
		return err
	})
	cut(t, s, space, self, 2)
	if got, want := stubOf(t, s, at(self, 1)), varint.AppendString([]byte{1}, a); !bytes.Equal(got, want) {
		t.Errorf("once b is removed the old stub is %x, want %x", got, want)
	}
	if got := touched(t, s, at(self, 1), 2, space.Vector()); len(got) != 1 || got[0] != (crdtsync.Touch{Key: b}) {
		t.Errorf("the removal tells %+v", got)
	}
}

// TestDamagedStubsAreNamed cuts and changes a stub at each byte: it is read or
// named as damaged.
func TestDamagedStubsAreNamed(t *testing.T) {
	s, space := filled(t)
	cut(t, s, space, self, 3)
	whole := stubOf(t, s, at(self, 3))
	refused := 0
	for i := range whole {
		for _, b := range [][]byte{whole[:i], append(bytes.Clone(whole), 0), slices.Concat(whole[:i], []byte{0xff}, whole[i+1:])} {
			update(t, s, func(tx store.Tx) error { return tx.Put(name, store.Meta, stubKey(at(self, 3)), b) })
			err := s.View(t.Context(), func(r store.Reader) error {
				_, _, err := spacestore.Touched(r, name, at(self, 2), 3, 100, nil)
				return err
			})
			if _, ok := errors.AsType[*store.CorruptError](err); err != nil && !ok {
				t.Errorf("stub %x: %v, want a CorruptError or none", b, err)
			}
			if err != nil {
				refused++
			}
		}
	}
	if refused < 2*len(whole) {
		t.Errorf("%d damaged stubs were refused, want at least %d", refused, 2*len(whole))
	}
}

// TestStubSizes pins what is left of changes that are in no log any more. Of an
// add whose element is removed again nothing is left but what the removal wrote
// to.
func TestStubSizes(t *testing.T) {
	long := strings.Repeat("e", 16)
	s, space := memstore.New(), load(t, memstore.New())
	step(t, s, space, several(5, true, long))
	step(t, s, space, several(6, true, "b"))
	key := len(stored(text(long)))
	cut(t, s, space, self, 1)
	if got, want := len(stubOf(t, s, at(self, 1))), key+6; got != want {
		t.Errorf("the stub of an add has %d bytes with a key of %d, want %d", got, key, want)
	}
	step(t, s, space, several(7, false, long))
	cut(t, s, space, self, 3)
	if got := stubOf(t, s, at(self, 1)); got != nil {
		t.Errorf("the stub of an add is %x after the removal, want none", got)
	}
	if got, want := len(stubOf(t, s, at(self, 3))), key+9; got != want {
		t.Errorf("the stub of a removal has %d bytes with a key of %d, want %d", got, key, want)
	}
}

// TestStubsOfMuch truncates more at once than the store's past is kept of.
func TestStubsOfMuch(t *testing.T) {
	s, space := memstore.New(), load(t, memstore.New())
	const changes, each = 40, 1000
	element := func(i, j int) string { return fmt.Sprintf("%150d/%d", i, j) }
	for i := range changes {
		var all []string
		for j := range each {
			all = append(all, element(i, j))
		}
		step(t, s, space, several(int64(10+i), true, all...))
	}
	for i := range changes {
		step(t, s, space, several(int64(1000+i), false, element(i, i), element(i, changes+i), element((i+7)%changes, 500+i)))
	}
	cut(t, s, space, self, 2*changes)
	got := touched(t, s, at(self, changes), 2*changes, merge.VectorOf(at(self, changes)))
	var names []crdtsync.OpName
	for _, touch := range got {
		if !touch.Named() {
			t.Fatalf("%q has no name", touch.Key)
		}
		names = append(names, touch.Name)
	}
	if len(got) != 3*changes || len(touched(t, s, at(self, 0), changes, nil)) != changes*(each-3) {
		t.Errorf("%d cells were touched since, and %d stay of what was before", len(got), len(touched(t, s, at(self, 0), changes, nil)))
	}
	slices.SortFunc(names, crdtsync.OpName.Compare)
	if got := len(slices.Compact(names)); got != 3*changes {
		t.Errorf("%d cells have %d names", 3*changes, got)
	}
}

// A countingReader counts the records that are read.
type countingReader struct {
	store.Reader
	records int
}

func (r *countingReader) Get(space string, t store.Table, key []byte) ([]byte, error) {
	r.records++
	return r.Reader.Get(space, t, key)
}

func (r *countingReader) Scan(space string, t store.Table, rg store.Range) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range r.Reader.Scan(space, t, rg) {
			if r.records++; !yield(rec, err) {
				return
			}
		}
	}
}

// TestWorkIsThatOfTheRemovals: what is read for names, at their sender and at
// their receiver, is as much for many cells as for few.
func TestWorkIsThatOfTheRemovals(t *testing.T) {
	const removals = 100
	read := func(cells int) (sender, receiver int) {
		s, space := memstore.New(), load(t, memstore.New())
		element := func(i int) string { return fmt.Sprintf("%08d", i) }
		for i := range cells {
			step(t, s, space, several(int64(10+i), true, element(i)))
		}
		for i := range removals {
			step(t, s, space, several(int64(10+cells+i), false, element(i*(cells/removals))))
		}
		cut(t, s, space, self, uint64(cells+removals/2)) // the others are in the log
		view(t, s, func(r store.Reader) error {
			counting := &countingReader{Reader: r}
			touches, _, err := spacestore.Touched(counting, name, at(self, uint64(cells)), uint64(cells+removals), 1<<30, merge.VectorOf(at(self, uint64(cells))))
			sender = counting.records
			if err != nil || len(touches) != removals {
				t.Fatalf("%d cells were touched, %v", len(touches), err)
			}
			counting.records = 0
			names := make([]crdtsync.OpName, removals)
			for i := range names {
				names[i] = touches[i].Name
			}
			_, err = spacestore.Resolve(counting, name, names)
			receiver = counting.records
			return err
		})
		return sender, receiver
	}
	s1, r1 := read(200)
	s2, r2 := read(2000)
	if s1 != s2 || r1 != r2 || s1 > 3*removals || r1 > 2*removals {
		t.Errorf("%d and %d records were read for 200 cells, %d and %d for 2,000", s1, r1, s2, r2)
	}
}
