package memstore_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		disk := new(memstore.Disk)
		return storetest.Harness{Open: func(t *testing.T) store.Store { return open(t, disk) }}
	})
}

// open opens a store on disk or fails the test.
func open(t *testing.T, disk *memstore.Disk) *memstore.Store {
	t.Helper()
	s, err := memstore.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
