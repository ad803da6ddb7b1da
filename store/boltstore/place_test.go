package boltstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// placeOf opens the store in dir and returns its place.
func placeOf(t *testing.T, dir string) string {
	t.Helper()
	s := open(t, dir)
	defer s.Close()
	place := store.Place(s)
	if place == "" {
		t.Fatalf("the store in %s has no place", dir)
	}
	return place
}

// overwrite puts a file in the place of another, as a program that restores
// backups does.
func overwrite(t *testing.T, to string, b []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(to+".restored", b, 0o600), os.Rename(to+".restored", to)); err != nil {
		t.Fatal(err)
	}
}

func TestPlaceStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	first := placeOf(t, dir)
	if again := placeOf(t, dir); again != first {
		t.Errorf("reopened at %q, want %q", again, first)
	}
	if err := boltstore.Compact(dir, boltstore.Options{}); err != nil {
		t.Fatal(err)
	}
	if again := placeOf(t, dir); again != first {
		t.Errorf("compacted at %q, want %q", again, first)
	}
	moved := filepath.Join(filepath.Dir(dir), "b")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if again := placeOf(t, moved); again != first {
		t.Errorf("renamed, at %q, want %q", again, first)
	}
}

func TestPlaceOfCopies(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	first := placeOf(t, dir)
	file := filepath.Join(dir, "joinery.db")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	overwrite(t, filepath.Join(other, "joinery.db"), before)
	clone := placeOf(t, other)
	if clone == first {
		t.Error("a cloned directory has the place of the original")
	}
	if again := placeOf(t, other); again != clone {
		t.Errorf("the clone reopened at %q, want %q", again, clone)
	}
	overwrite(t, file, before)
	if restored := placeOf(t, dir); restored == first || restored == clone {
		t.Error("a restored backup has the place of what it replaced")
	}
}

func TestPlaceOfReadOnly(t *testing.T) {
	dir := writeSamples(t)
	first := placeOf(t, dir)
	s, err := boltstore.Open(dir, boltstore.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := store.Place(s); got != first {
		t.Errorf("read-only at %q, want %q", got, first)
	}
}
