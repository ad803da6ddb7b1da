package boltstore_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/faultstore"
	"github.com/joinery-crdt/joinery/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		dir := t.TempDir()
		return storetest.Harness{Open: func(t *testing.T) store.Store { return open(t, dir) }}
	})
}

// TestConformanceUnderFaultstore lets every step wait, so that transactions meet
// in other ways.
func TestConformanceUnderFaultstore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		dir := t.TempDir()
		return storetest.Harness{Open: func(t *testing.T) store.Store {
			s := faultstore.Wrap(open(t, dir))
			s.Arm(faultstore.Slow)
			return s
		}}
	})
}

// open opens a store in dir or fails the test.
func open(t testing.TB, dir string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(dir, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
