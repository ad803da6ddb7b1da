package memstore_test

import (
	"errors"
	"fmt"
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

func TestOpenLocked(t *testing.T) {
	disk := new(memstore.Disk)
	s := open(t, disk)
	if _, err := memstore.Open(disk); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
	clone := open(t, disk.Clone())
	for range 2 {
		if err := errors.Join(s.Close(), clone.Close()); err != nil {
			t.Error(err)
		}
	}
	again := open(t, disk)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := memstore.Open(disk); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Open after the old store was closed once more = %v, want ErrLocked", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloneIsApart(t *testing.T) {
	disk := new(memstore.Disk)
	s := open(t, disk)
	defer s.Close()
	put := func(s store.Store, keys ...string) {
		for _, key := range keys {
			err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("a", store.Cells, []byte(key), nil) })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	put(s, "1", "2")
	clone := disk.Clone()
	put(s, "3")
	if got, want := [2]int{disk.Len(), clone.Len()}, [2]int{3, 2}; got != want {
		t.Errorf("Len of disk and clone = %d, want %d", got, want)
	}
	c := open(t, clone)
	defer c.Close()
	put(c, "4", "5", "6")
	if got, want := [2]int{disk.Len(), clone.Len()}, [2]int{3, 5}; got != want {
		t.Errorf("Len of disk and clone = %d, want %d", got, want)
	}
}

func TestTransactionIsOverAfterItsFunction(t *testing.T) {
	s := memstore.New()
	defer s.Close()
	var kept []store.Reader
	var late store.Tx
	errUpdate := s.Update(t.Context(), func(tx store.Tx) error { kept, late = append(kept, tx), tx; return nil })
	errView := s.View(t.Context(), func(r store.Reader) error { kept = append(kept, r); return nil })
	if err := errors.Join(errUpdate, errView); err != nil {
		t.Fatal(err)
	}
	for _, r := range kept {
		_, errGet := r.Get("a", store.Cells, nil)
		var errScan, errSpaces error
		for _, errScan = range r.Scan("a", store.Cells, store.Range{}) {
			break
		}
		for _, errSpaces = range r.Spaces() {
			break
		}
		for call, err := range map[string]error{"Get": errGet, "Scan": errScan, "Spaces": errSpaces} {
			if !errors.Is(err, store.ErrClosed) {
				t.Errorf("%s of a %T after its transaction = %v, want ErrClosed", call, r, err)
			}
		}
	}
	if err := late.Put("a", store.Cells, nil, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Put after the transaction = %v, want ErrClosed", err)
	}
}

func ExampleDisk() {
	var disk memstore.Disk
	s, err := memstore.Open(&disk)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	backup := disk.Clone()
	fmt.Println(disk.Len(), backup.Len())
	// Output: 0 0
}
