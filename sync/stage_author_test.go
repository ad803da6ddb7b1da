package sync_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// TestAuthorRefusesWhatPeersRefuse: what Author makes, every peer can decode and
// apply. Anything else it must refuse, or the node ends in quarantine.
func TestAuthorRefusesWhatPeersRefuse(t *testing.T) {
	op := func(object, kind, element string) crdtsync.CellOp {
		return crdtsync.CellOp{Cell: crdtsync.CellKey{Object: object, Kind: kind, Element: element}, Op: crdt.Op{Put: true}}
	}
	seen := func(dots ...merge.Dot) crdtsync.CellOp {
		o := op("o", "orset", "\x61x")
		o.Seen = dots
		return o
	}
	for name, ops := range map[string][]crdtsync.CellOp{
		"one cell twice":   {op("o", "gset", "\x61x"), op("o", "gset", "\x61y"), op("o", "gset", "\x61x")},
		"no object":        {op("", "gset", "\x61x")},
		"object too long":  {op(strings.Repeat("o", crdtsync.MaxObject+1), "gset", "\x61x")},
		"object not UTF-8": {op("\xff", "gset", "\x61x")},
		"no names":         {op("", "", "")},
		"unknown, no name": {op("o", "", "\x61x")},
		"unknown, long":    {op("o", strings.Repeat("k", crdtsync.MaxKind+1), "")},
		"bad element":      {op("o", "gset", "not CBOR")},
		"bad payload":      {{Cell: crdtsync.CellKey{Object: "o", Kind: "lww"}, Op: crdt.Op{Put: true, Payload: []byte("not CBOR")}}},
		"seen not sorted":  {seen(dotOf(2, 2), dotOf(2, 1))},
		"seen twice":       {seen(dotOf(2, 1), dotOf(2, 1))},
		"seen nothing":     {seen(dotOf(2, 0))},
		"too large":        {bigPut(crdtsync.MaxChange)},
	} {
		a := newReplica(t, 1, "s")
		s := a.space("s")
		st := s.Stage(s, 0)
		c, err := st.Author(1, ops)
		if !errors.Is(err, crdtsync.ErrRejected) && !errors.Is(err, crdtsync.ErrTooLarge) {
			t.Errorf("%s: Author = %v, %v; want ErrRejected or ErrTooLarge", name, c, err)
			continue
		}
		if !st.Persist().Empty() {
			t.Errorf("%s: a refused change is to be made durable", name)
		}
	}
}

// bigPut writes a CBOR byte string of n bytes to a register.
func bigPut(n int) crdtsync.CellOp {
	value := append([]byte{0x5a, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, n)...)
	return crdtsync.CellOp{Cell: crdtsync.CellKey{Object: "o", Kind: "lww"}, Op: crdt.Op{Put: true, Payload: value}}
}

// TestAuthorGoesOn writes again after a refused transaction, in the same stage.
func TestAuthorGoesOn(t *testing.T) {
	a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	s := a.space("s")
	st := s.Stage(s, 0)
	bad := crdtsync.CellOp{Cell: crdtsync.CellKey{Object: "z", Kind: "orset", Element: "\x61x"}, Op: crdt.Op{Put: true, Payload: []byte("?")}}
	for i := range 3 {
		if _, err := st.Author(st.LastTime()+1, []crdtsync.CellOp{put(t, "refused"), bad}); !errors.Is(err, crdtsync.ErrRejected) {
			t.Fatalf("a bad transaction: %v, want ErrRejected", err)
		}
		if _, err := st.Author(st.LastTime()+1, []crdtsync.CellOp{put(t, i)}); err != nil {
			t.Fatal(err)
		}
	}
	s.commit(st)
	b.pull("s", a, 10)
	wantSame(t, "the other node", b.space("s"), s)
	if len(s.cells) != 3 {
		t.Errorf("%d cells, want the three of the good transactions", len(s.cells))
	}
}

// TestEffects reads what changes did, in order, before and after.
func TestEffects(t *testing.T) {
	a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	rng := seeded(5)
	for range 15 {
		a.author("s", a.randomOps(rng, a.space("s"), 3)...)
	}
	s := b.space("s")
	st := s.Stage(s, 0)
	st.Record()
	for _, c := range shuffled(t, rng, a.space("s").log) {
		_ = st.Offer(c)
	}
	st.Persist()
	effects := st.Commit()
	cells, n := make(map[crdtsync.CellKey][]byte), 0
	for _, c := range a.space("s").log {
		for i := range c.Ops {
			e := effects[n]
			if e.Change.Dot != c.Dot || e.Op.Cell != c.Ops[i].Cell || !bytes.Equal(e.Before, cells[e.Op.Cell]) {
				t.Fatalf("effect %d is of %v on %v, want %v on %v", n, e.Change.Dot, e.Op.Cell, c.Dot, c.Ops[i].Cell)
			}
			cells[e.Op.Cell] = e.After
			n++
		}
	}
	if n != len(effects) {
		t.Errorf("%d effects, want %d", len(effects), n)
	}
	for key, state := range a.space("s").cells {
		if k, err := crdtsync.ParseCellKey([]byte(key)); err != nil || !bytes.Equal(cells[k], state) {
			t.Errorf("the last effect on %v left %x, want %x", k, cells[k], state)
		}
	}
}

func TestNoEffectsUnlessAsked(t *testing.T) {
	s := newReplica(t, 1, "s").space("s")
	st := s.Stage(s, 0)
	if _, err := st.Author(1, []crdtsync.CellOp{put(t, 1)}); err != nil {
		t.Fatal(err)
	}
	st.Persist()
	if effects := st.Commit(); effects != nil {
		t.Errorf("%d effects without Record", len(effects))
	}
}

// TestStageReads reads cells through a stage that has changed some of them.
func TestStageReads(t *testing.T) {
	s := newReplica(t, 1, "s").space("s")
	stored, fresh, absent := put(t, "stored").Cell, put(t, "fresh").Cell, put(t, "absent").Cell
	s.cells[string(storedKey(t, stored))] = []byte{}
	st := s.Stage(s, 0)
	if _, err := st.Author(1, []crdtsync.CellOp{put(t, "fresh")}); err != nil {
		t.Fatal(err)
	}
	if _, ok := st.Touched(storedKey(t, stored)); ok {
		t.Error("Touched knows a cell that nobody looked at")
	}
	for key, want := range map[crdtsync.CellKey]bool{stored: true, fresh: true, absent: false} {
		state, err := st.Cell(key)
		touched, ok := st.Touched(storedKey(t, key))
		if err != nil || (state != nil) != want || !ok || (touched != nil) != want {
			t.Errorf("Cell(%v) = %v, %v; Touched = %v, %v; want present: %v", key, state, err, touched, ok, want)
		}
	}
	var want []string
	for _, k := range []crdtsync.CellKey{stored, fresh, absent} {
		want = append(want, string(storedKey(t, k)))
	}
	slices.Sort(want)
	if got := st.TouchedKeys(crdtsync.KindPrefix("log", "gset")); !slices.Equal(got, want) {
		t.Errorf("TouchedKeys = %q, want %q", got, want)
	}
	if got := st.TouchedKeys(crdtsync.ObjectPrefix(nil, "lo")); len(got) != 0 {
		t.Errorf("TouchedKeys of another object = %q", got)
	}
}

// brokenCells fails to read.
type brokenCells struct{ err error }

func (b brokenCells) Cell([]byte) ([]byte, error) { return nil, b.err }

func TestErrorsOfCells(t *testing.T) {
	disk := errors.New("disk on fire")
	s := newReplica(t, 1, "s").space("s")
	if _, err := s.Stage(brokenCells{disk}, 0).Author(1, []crdtsync.CellOp{put(t, 1)}); !errors.Is(err, disk) {
		t.Errorf("Author over broken cells: %v", err)
	}
	c := newReplica(t, 2, "s").author("s", put(t, 1))
	err := s.Stage(brokenCells{disk}, 0).Offer(c)
	if _, refused := errors.AsType[*crdtsync.RefusedError](err); refused || !errors.Is(err, disk) {
		t.Errorf("Offer over broken cells: %v", err)
	}
	damaged := crdtsync.CellKey{Object: "o", Kind: "lww"}
	s.cells[string(storedKey(t, damaged))] = []byte("damaged")
	c = newReplica(t, 3, "s").author("s", crdtsync.CellOp{Cell: damaged, Op: crdt.Op{Put: true, Payload: []byte{1}}})
	err = s.Stage(s, 0).Offer(c)
	if _, refused := errors.AsType[*crdtsync.RefusedError](err); refused || err == nil || !strings.Contains(fmt.Sprint(err), `"o"`) {
		t.Errorf("Offer over a damaged cell: %v, want an error that names the object and refuses nothing", err)
	}
}
