package boltstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// flushedNames runs fn and returns the names in flushed directories, as paths,
// in the order in which they became durable.
func flushedNames(t *testing.T, fn func()) (names []string) {
	t.Helper()
	defer boltstore.OnSyncDir(func(dir string) error {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if name := filepath.Join(dir, e.Name()); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return err
	})()
	fn()
	return names
}

// TestDirFsync demands that all names on the way to a new store are durable
// when Open returns, those of the directories before that of the file.
func TestDirFsync(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "new", "and", "deep")
	names := flushedNames(t, func() { open(t, dir).Close() })
	file := slices.Index(names, fileIn(dir))
	for path := dir; path != top; path = filepath.Dir(path) {
		if i := slices.Index(names, path); i < 0 || i > file {
			t.Errorf("durable names = %q, want %s before %s", names, path, fileIn(dir))
		}
	}
	if file < 0 {
		t.Errorf("durable names = %q, want %s", names, fileIn(dir))
	}
	// A process that made the file may have been killed before it was durable.
	if again := flushedNames(t, func() { open(t, dir).Close() }); !slices.Contains(again, fileIn(dir)) {
		t.Errorf("durable names at the second Open = %q, want %s", again, fileIn(dir))
	}
	compact := flushedNames(t, func() {
		if err := boltstore.Compact(dir, boltstore.Options{}); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("Compact leaves %v, %v", entries, err)
		}
	})
	if !slices.Contains(compact, fileIn(dir)) {
		t.Errorf("durable names after Compact = %q, want %s", compact, fileIn(dir))
	}
}

// TestErrorAtEveryDirFsync fails each flush of a directory once: Open says so,
// and the next one succeeds.
func TestErrorAtEveryDirFsync(t *testing.T) {
	errDisk := errors.New("disk: no flush")
	failures := 0
	for k := 0; ; k++ {
		dir := filepath.Join(t.TempDir(), "new", "deep")
		calls := 0
		undo := boltstore.OnSyncDir(func(string) error {
			if calls++; calls-1 == k {
				return errDisk
			}
			return nil
		})
		s, err := boltstore.Open(dir, boltstore.Options{})
		undo()
		if calls <= k {
			if err := errors.Join(err, s.Close()); err != nil {
				t.Error(err)
			}
			break
		}
		failures++
		if !errors.Is(err, errDisk) {
			t.Fatalf("Open whose flush %d failed = %v, want its error", k, err)
		}
		s = open(t, dir)
		err = s.Update(t.Context(), func(tx store.Tx) error { return put(tx, "k") })
		if err := errors.Join(err, s.Close()); err != nil {
			t.Errorf("after flush %d failed: %v", k, err)
		}
	}
	if failures < 3 {
		t.Errorf("Open flushed %d directories, want more", failures)
	}
}
