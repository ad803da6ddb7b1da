package storetest_test

import (
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/store/storetest"
)

// A defect makes a good store break the contract; clause must notice.
type defect struct {
	name, clause string
	open         opener
}

func TestClausesRejectBrokenStores(t *testing.T) {
	for _, d := range slices.Concat(readDefects(), writeDefects(), lifetimeDefects()) {
		t.Run(d.name, func(t *testing.T) {
			for _, c := range storetest.Clauses() {
				if c.Name == d.clause {
					wantRejection(t, c, d.open)
					return
				}
			}
			t.Errorf("there is no clause %s", d.clause)
		})
	}
}

func TestClausesAcceptWrappedStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness { return harness(with(wrapped{})) })
}

func TestEveryClauseRejectsSomething(t *testing.T) {
	var covered []string
	for _, d := range slices.Concat(readDefects(), writeDefects(), lifetimeDefects()) {
		covered = append(covered, d.clause)
	}
	for _, c := range storetest.Clauses() {
		if !slices.Contains(covered, c.Name) {
			t.Errorf("no broken store is aimed at clause %s", c.Name)
		}
	}
}

// wantRejection demands that c finds a fault with a store.
func wantRejection(t *testing.T, c storetest.Clause, open opener) {
	t.Helper()
	err := c.Check(t, harness(open))
	if err == nil {
		t.Errorf("clause %s accepts the store", c.Name)
	}
	t.Log(err)
}

// An opener opens a store of some kind on a disk.
type opener = func(*testing.T, *memstore.Disk) store.Store

// harness returns a harness on a disk of its own.
func harness(open opener) storetest.Harness {
	disk := new(memstore.Disk)
	return storetest.Harness{Open: func(t *testing.T) store.Store { return open(t, disk) }}
}

// open opens a good store or fails the test.
func open(t *testing.T, d *memstore.Disk) *memstore.Store {
	t.Helper()
	s, err := memstore.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
