package sync_test

import (
	"errors"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// noCells is the cells of an empty space.
type noCells struct{}

func (noCells) Cell([]byte) ([]byte, error) { return nil, nil }

func spaceOf(self byte) *crdtsync.Space {
	return crdtsync.NewSpace(crdtsync.SpaceConfig{Name: "s", Self: merge.Origin{self}, Kinds: crdt.Builtin()})
}

// write returns what a node writes at a time, with nothing of it committed.
func write(t *testing.T, st *crdtsync.Stage, at hlc.Timestamp) *crdtsync.Change {
	t.Helper()
	op := crdtsync.CellOp{Cell: crdtsync.CellKey{Object: "k", Kind: "gset", Element: "\x61x"}, Op: crdt.Op{Put: true}}
	c, err := st.Author(at, []crdtsync.CellOp{op})
	if err != nil {
		t.Fatalf("Author at %v: %v", at, err)
	}
	return c
}

func TestOwnWriteBeyondLimit(t *testing.T) {
	const limit = 100
	c := write(t, spaceOf(1).Stage(noCells{}, limit), limit+1)
	err := spaceOf(2).Stage(noCells{}, limit).Offer(c)
	if !errors.Is(err, crdtsync.ErrFuture) {
		t.Errorf("Offer of another node's change beyond the limit = %v, want ErrFuture", err)
	}
}

func TestLastTimeCountsWhatWaited(t *testing.T) {
	author := spaceOf(1).Stage(noCells{}, 0)
	first, second := write(t, author, 10), write(t, author, 30)
	st := spaceOf(2).Stage(noCells{}, 0)
	if err := st.Offer(second); !errors.Is(err, crdtsync.ErrEarly) {
		t.Fatalf("Offer of the second change = %v, want ErrEarly", err)
	}
	if got := st.LastTime(); got != 0 {
		t.Errorf("LastTime with nothing applied = %v, want 0", got)
	}
	if err := st.Offer(first); err != nil {
		t.Fatal(err)
	}
	if got, want := st.LastTime(), second.Time; got != want {
		t.Errorf("LastTime = %v, want %v of the change that waited", got, want)
	}
}
