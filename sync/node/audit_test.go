package node_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// damaged returns a node on a store in which a cell of space "s" was altered,
// and what the cell was.
func damaged(t *testing.T, disk *memstore.Disk) (n *node.Node, key, was []byte) {
	t.Helper()
	s := on(t, disk)
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for rec, err := range tx.Scan("s", store.Cells, store.Range{}) {
			if err != nil {
				return err
			}
			key, was = slices.Clone(rec.Key), slices.Clone(rec.Value)
		}
		return tx.Put("s", store.Cells, key, []byte{0xff})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openOn(t, disk), key, was
}

func cellOf(t *testing.T, n *node.Node, key []byte) (state []byte) {
	t.Helper()
	err := n.Store().View(t.Context(), func(r store.Reader) error {
		b, err := r.Get("s", store.Cells, key)
		state = slices.Clone(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// twoLevel returns a node, and the disk of another one that holds the same.
func twoLevel(t *testing.T) (*node.Node, *memstore.Disk) {
	a, disk := open(t), new(memstore.Disk)
	b := openOn(t, disk)
	for id := range 20 {
		mustUpdate(t, a.Space("s"), add(id))
	}
	mustImport(t, b, export(t, a.Space("s"), node.Cut{}))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return a, disk
}

// An audit finds a cell that no fingerprint shows, and mends it out of the log.
func TestAuditMendsWhatLiesDamaged(t *testing.T) {
	for _, asks := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			a, disk := twoLevel(t)
			b, key, was := damaged(t, disk)
			join(t, a, b)
			time.Sleep(5 * time.Second)
			if got := problems(b); len(got) > 0 {
				t.Fatalf("problems = %v before anybody looks", got)
			}
			who := []*node.Node{a, b}[asks]
			got, err := who.Space("s").Audit(t.Context(), "")
			if err != nil || got.Equal || got.Compared == 0 {
				t.Errorf("Audit = %+v, %v", got, err)
			}
			time.Sleep(5 * time.Second)
			if got := cellOf(t, b, key); !slices.Equal(got, was) {
				t.Errorf("the cell is %x, want %x", got, was)
			}
			if got := problems(b); !slices.Equal(got, []string{"repaired"}) {
				t.Errorf("problems = %v, want what was repaired", got)
			}
			if got := problems(a); len(got) > 0 {
				t.Errorf("problems = %v at the sound node", got)
			}
			checkSound(t, a, "s")
			checkSound(t, b, "s")
			got, err = who.Space("s").Audit(t.Context(), "")
			if err != nil || !got.Equal {
				t.Errorf("the next Audit = %+v, %v, want Equal", got, err)
			}
		})
	}
}

// Nobody has to ask: it is done once in a while.
func TestAuditsAreScheduled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, disk := twoLevel(t)
		b, key, was := damaged(t, disk)
		join(t, a, b)
		time.Sleep(25 * time.Hour)
		if got := cellOf(t, b, key); !slices.Equal(got, was) {
			t.Errorf("the cell is %x after a day, want %x", got, was)
		}
	})
}

func TestAuditOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t)
		mustUpdate(t, a.Space("s"), add(1))
		if _, err := a.Space("s").Audit(t.Context(), "hub"); !errors.Is(err, crdtsync.ErrNoAnswer) {
			t.Errorf("Audit = %v, want ErrNoAnswer", err)
		}
		b := open(t)
		join(t, a, b)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if got, err := a.Space("s").Audit(ctx, b.Origin().String()); err != nil || !got.Equal {
			t.Errorf("Audit = %+v, %v, want Equal", got, err)
		}
	})
}
