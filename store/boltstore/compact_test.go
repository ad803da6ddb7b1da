package boltstore_test

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

func TestCompact(t *testing.T) {
	dir := writeSamples(t)
	s := open(t, dir)
	grow := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("c", store.Log, nil, make([]byte, 5<<20)) })
	shrink := s.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("c", store.Log, nil) })
	if err := errors.Join(grow, shrink); err != nil {
		t.Fatal(err)
	}
	if err := boltstore.Compact(dir, boltstore.Options{Timeout: 1}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Compact of an open store = %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := boltstore.Compact(dir, boltstore.Options{}); err != nil {
		t.Fatal(err)
	}
	if n := len(content(t, dir)); n > 1<<20 {
		t.Errorf("the file has %d bytes after Compact, want less than 1 MiB", n)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("Compact leaves %v, %v", entries, err)
	}
	s = open(t, dir)
	defer s.Close()
	if err := s.View(t.Context(), scanSamples); err != nil {
		t.Error(err)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return put(tx, "k") }); err != nil {
		t.Error(err)
	}
}

func TestCompactDamaged(t *testing.T) {
	dir := writeSamples(t)
	flip(t, dir, os.Getpagesize()+20, 1)
	before := content(t, dir)
	if err := boltstore.Compact(dir, boltstore.Options{}); err == nil || !isDamage(err) {
		t.Errorf("Compact of a damaged store = %v, want an error about damage", err)
	}
	if string(before) != string(content(t, dir)) {
		t.Error("Compact changed a damaged store")
	}
}

// TestOpenAwaitsCompact lets an Open wait for the lock of a file that is
// replaced meanwhile: what it writes must go to the new one.
func TestOpenAwaitsCompact(t *testing.T) {
	dir := writeSamples(t)
	s := open(t, dir)
	opened := make(chan *boltstore.Store)
	go func() {
		waiting, err := boltstore.Open(dir, boltstore.Options{Timeout: time.Minute})
		if err != nil {
			t.Error(err)
		}
		opened <- waiting
	}()
	old := content(t, dir)
	if err := errors.Join(os.Remove(fileIn(dir)), os.WriteFile(fileIn(dir), old, 0o600), s.Close()); err != nil {
		t.Fatal(err)
	}
	waiting := <-opened
	err := waiting.Update(t.Context(), func(tx store.Tx) error { return put(tx, "late") })
	if err := errors.Join(err, waiting.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	err = s.View(t.Context(), func(r store.Reader) error {
		_, err := r.Get("a", store.Cells, []byte("late"))
		return err
	})
	if err != nil {
		t.Errorf("what was written after the wait: %v", err)
	}
}

// TestOpenShrinks opens a store of which little is left.
func TestOpenShrinks(t *testing.T) {
	dir := writeSamples(t)
	place := placeOf(t, dir)
	s := open(t, dir)
	grow := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("c", store.Log, nil, make([]byte, 24<<20)) })
	shrink := s.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("c", store.Log, nil) })
	if err := errors.Join(grow, shrink, s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, opts := range []boltstore.Options{{ReadOnly: true}, {MinFree: 1 << 60}} {
		s, err := boltstore.Open(dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.View(t.Context(), scanSamples), s.Close()); err != nil {
			t.Error(err)
		}
		if n := len(content(t, dir)); n < 24<<20 {
			t.Errorf("opened with %+v the file has %d bytes, want those from before", opts, n)
		}
	}
	s = open(t, dir)
	if n := len(content(t, dir)); n > 1<<20 {
		t.Errorf("the file has %d bytes after Open, want less than 1 MiB", n)
	}
	if store.Place(s) != place {
		t.Error("the place has changed")
	}
	err := s.Update(t.Context(), func(tx store.Tx) error { return put(tx, "k") })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Error(err)
	}
	s = open(t, dir)
	defer s.Close()
	if err := s.View(t.Context(), func(r store.Reader) error {
		_, err := r.Get("a", store.Cells, []byte("k"))
		return err
	}); err != nil {
		t.Errorf("what was written after the file shrank: %v", err)
	}
}

// TestSpaceReturns fills a space and empties it, several times: the file uses
// what was given up again before it grows, unless a View still reads that, and
// gives it back when it is compacted.
func TestSpaceReturns(t *testing.T) {
	const cells, rounds = 5000, 3
	for _, viewed := range []bool{false, true} {
		dir := writeSamples(t)
		before := len(content(t, dir))
		s := open(t, dir)
		end := func() {}
		if viewed {
			end = holdView(t, s)
		}
		var sizes []int
		var errs []error
		for range rounds {
			errs = append(errs, eachCell(t, s, cells, true), eachCell(t, s, cells, false))
			sizes = append(sizes, len(content(t, dir)))
		}
		end()
		if err := errors.Join(append(errs, s.Close(), boltstore.Compact(dir, boltstore.Options{}))...); err != nil {
			t.Fatal(err)
		}
		if grown := sizes[rounds-1] > 2*sizes[0]; grown != viewed {
			t.Errorf("with a View open: %v; the file had %d bytes after each round", viewed, sizes)
		}
		if after := len(content(t, dir)); after > before {
			t.Errorf("%d bytes before, %d after Compact", before, after)
		}
	}
}

// holdView begins a View and returns what ends it.
func holdView(t *testing.T, s store.Store) (end func()) {
	begun, ended := make(chan struct{}), make(chan struct{})
	var view sync.WaitGroup
	view.Go(func() {
		err := s.View(t.Context(), func(store.Reader) error {
			close(begun)
			<-ended
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	return func() {
		close(ended)
		view.Wait()
	}
}

// eachCell puts or deletes cells, some in each Update.
func eachCell(t *testing.T, s store.Store, n int, put bool) error {
	const together = 2500
	var errs []error
	for first := 0; first < n; first += together {
		errs = append(errs, s.Update(t.Context(), func(tx store.Tx) error {
			for i := first; i < first+together; i++ {
				key := benchKey(uint64(i))
				if !put {
					if err := tx.Delete("returns", store.Cells, key); err != nil {
						return err
					}
				} else if err := tx.Put("returns", store.Cells, key, make([]byte, 84)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}
