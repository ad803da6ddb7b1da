package boltstore_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// unpack puts the file of a data directory that an older program wrote into a
// new directory.
func unpack(t *testing.T, name string) (dir string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	restore(t, dir, b)
	return dir
}

// TestOpensFormat1 opens testdata/format-1.db.gz: the file that boltstore at
// commit 64f43d1, the first with this format, wrote on linux/amd64 in 42
// Updates, of which 40 replaced cells, added to a log and deleted from one.
func TestOpensFormat1(t *testing.T) {
	dir := unpack(t, "testdata/format-1.db.gz")
	if r := examine(t, dir); !r.Sound() || r.LostBytes != 0 {
		t.Errorf("Doctor: %v", r)
	}
	for range 2 { // as it was, and written by this program
		s := open(t, dir)
		err := errors.Join(s.View(t.Context(), wantFormat1), s.Check(t.Context()),
			s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("new", store.Cells, nil, nil) }), s.Close())
		if err != nil {
			t.Error(err)
		}
		if err := boltstore.Compact(dir, boltstore.Options{}); err != nil {
			t.Error(err)
		}
	}
}

// wantFormat1 demands the records of that file.
func wantFormat1(r store.Reader) error {
	get := func(space string, table store.Table, key, want string) error {
		got, err := r.Get(space, table, []byte(key))
		if err != nil || string(got) != want {
			return fmt.Errorf("Get(%q, %d, %q) = %q, %w; want %q", space, table, key, got, err, want)
		}
		return nil
	}
	err := errors.Join(get("", store.Meta, "identity", "me"), get("notes", store.Vector, "", ""))
	for space, changes := range map[string]int{"notes": 40, "tasks": 10} {
		for i := range 25 {
			newest := i
			if i < 15 {
				newest = i + 25
			}
			err = errors.Join(err, get(space, store.Cells, fmt.Sprintf("cell %02d", i), fmt.Sprint("state ", newest)))
		}
		n := 0
		for rec, e := range r.Scan(space, store.Log, store.Range{}) {
			if i := 40 - changes + n; e != nil || string(rec.Key) != fmt.Sprintf("change %02d", i) || len(rec.Value) != 10*i {
				err = errors.Join(err, fmt.Errorf("record %d of the log is %q with %d bytes, %w", n, rec.Key, len(rec.Value), e))
			}
			n++
		}
		if n != changes {
			err = errors.Join(err, fmt.Errorf("%d changes in the log of %s, want %d", n, space, changes))
		}
	}
	return err
}
